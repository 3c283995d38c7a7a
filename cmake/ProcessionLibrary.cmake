# procession::procession       the library
# procession::procession_main  wraps the program's main; reaches every executable by itself

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(Boost 1.81 CONFIG REQUIRED COMPONENTS headers stacktrace_backtrace)
find_package(cereal CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)

file(GLOB procession_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*/*.cpp)
list(FILTER procession_sources EXCLUDE REGEX "/src/main/")
file(GLOB procession_main_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/main/*.cpp)

add_library(procession ${procession_sources})
add_library(procession::procession ALIAS procession)
target_include_directories(procession
  PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
  PRIVATE
    ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(procession
  PUBLIC Threads::Threads Boost::headers cereal::cereal fmt::fmt spdlog::spdlog
  PRIVATE Boost::stacktrace_backtrace OpenSSL::Crypto ${CMAKE_DL_LIBS})
target_compile_definitions(procession PRIVATE BOOST_STACKTRACE_LINK)
# What the library calls is bound when the program is loaded: bound lazily, it would be bound in
# each forked child again, at a dozen page faults a name.
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-fno-plt PROCESSION_HAVE_NO_PLT)
if(PROCESSION_HAVE_NO_PLT)
  target_compile_options(procession PRIVATE -fno-plt)
endif()

add_library(procession_main STATIC ${procession_main_sources})
add_library(procession::procession_main ALIAS procession_main)
target_include_directories(procession_main PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(procession_main PUBLIC procession)

foreach(target procession procession_main)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON
    DEFINE_SYMBOL ""
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endforeach()
# The wrapped symbol is resolved by name between objects, which whole-program optimisation of one
# side could take away.
set_target_properties(procession_main PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)

# Every executable gets its main wrapped: --wrap sends the start code to __wrap_main, in
# procession_main, and __real_main back to the program's main. Then nothing that the linker has
# seen by the time it meets an archive asks for `main` itself, so -u does: a main that lives in an
# archive (gtest_main, benchmark_main) is found wherever that archive stands on the line.
# These are items of the link interface, not link options, because items also travel through a
# static library that uses procession privately, whatever policies its project has set.
set(in_executable "$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>")
target_link_libraries(procession INTERFACE
  "$<${in_executable}:procession::procession_main>"
  "$<${in_executable}:-Wl,--wrap=main>"
  "$<${in_executable}:-Wl,-u,main>")
