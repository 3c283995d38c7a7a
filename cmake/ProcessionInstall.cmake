# Headers, both archives, a CMake package and a pkg-config file.

include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/procession)

install(TARGETS procession procession_main EXPORT procession-targets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/procession
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(EXPORT procession-targets
  NAMESPACE procession:: FILE procession-targets.cmake DESTINATION ${package_dir})

configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/procession-config.cmake.in
  ${PROJECT_BINARY_DIR}/procession-config.cmake
  INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/procession-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/procession-config.cmake
  ${PROJECT_BINARY_DIR}/procession-config-version.cmake
  DESTINATION ${package_dir})

# Prefix-relative, so that an install moved elsewhere (or staged with --prefix) still works.
file(RELATIVE_PATH pc_to_prefix
  /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
configure_file(
  ${CMAKE_CURRENT_LIST_DIR}/procession.pc.in ${PROJECT_BINARY_DIR}/procession.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/procession.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
