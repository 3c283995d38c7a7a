# What this repository's own builds use; a project that adds procession as a subfolder keeps its
# own choices.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, RelWithDebInfo or Release" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(PROCESSION_CCACHE "Compile through ccache when it is there" ON)
if(PROCESSION_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(PROCESSION_CCACHE_PROGRAM ccache)
  if(PROCESSION_CCACHE_PROGRAM)
    # ccache refuses precompiled headers unless told that their defines may be compared loosely.
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${PROCESSION_CCACHE_PROGRAM})
  endif()
endif()

option(PROCESSION_WARNINGS_AS_ERRORS "A warning ends the build" OFF)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(PROCESSION_WARNINGS_AS_ERRORS)
  # GCC 12 warns falsely where a sanitizer has changed the code (-Wmaybe-uninitialized).
  if(NOT PROCESSION_SANITIZE)
    add_compile_options(-Werror)
  endif()
endif()

if(PROCESSION_SANITIZE)
  add_compile_options(-fsanitize=${PROCESSION_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PROCESSION_SANITIZE})
  if(PROCESSION_SANITIZE MATCHES "undefined")
    # Undefined behaviour must fail the test that met it, not only print a line.
    add_compile_options(-fno-sanitize-recover=undefined)
    # Whether an address is readable at all this one check asks by writing it to a pipe of its own,
    # for each class that it has not met before. Where a program may open no descriptor it takes
    # every object for one of another class: all tests of exhaustion would fail, in which the other
    # checks, of addresses and leaks, are worth the most.
    add_compile_options(-fno-sanitize=vptr)
  endif()
  if(PROCESSION_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC warns of every fence, which its TSan does not model.
    add_compile_options(-Wno-tsan)
  endif()
endif()

option(PROCESSION_COVERAGE "Count executed lines" OFF)
if(PROCESSION_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()
