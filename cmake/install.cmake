# Installs the headers and the package that find_package(chime) finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# share/, not lib/: headers alone are the same for every architecture.
set(chime_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/chime)

install(TARGETS chime EXPORT chimeTargets FILE_SET HEADERS)
install(EXPORT chimeTargets NAMESPACE chime:: DESTINATION ${chime_package_dir})

# While the major version is 0, a new minor version may break what was written to the one before.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/chimeConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(
  FILES ${CMAKE_CURRENT_LIST_DIR}/chimeConfig.cmake ${PROJECT_BINARY_DIR}/chimeConfigVersion.cmake
  DESTINATION ${chime_package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
