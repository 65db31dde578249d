# Compiles every header of chime alone, so that none leans on what its includer included before, and
# proves there that the rooms without Asio get none of it, not even by way of another header.
# Then links two translation units that include all of chime: a function that forgot `inline` fails here.
function(chime_check_headers)
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/headers)
  set(sources)
  set(all)
  foreach(header IN LISTS chime_headers)
    chime_room(room ${header})
    if(room IN_LIST CHIME_LINUX_ONLY AND NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
      continue()
    endif()
    set(text "#include <${header}>\n#include <${header}> // it must stand being included again\n")
    if(room IN_LIST CHIME_WITHOUT_ASIO)
      string(APPEND text
        "#if defined(BOOST_ASIO_VERSION) || defined(BOOST_ASIO_DETAIL_CONFIG_HPP)\n"
        "#error \"<${header}> brings in Asio, which this room does without\"\n"
        "#endif\n")
    endif()
    string(MAKE_C_IDENTIFIER ${header} name)
    file(CONFIGURE OUTPUT ${dir}/${name}.cpp CONTENT "${text}" @ONLY)
    list(APPEND sources ${dir}/${name}.cpp)
    string(APPEND all "#include <${header}>\n")
  endforeach()

  file(CONFIGURE OUTPUT ${dir}/first.cpp CONTENT "${all}" @ONLY)
  file(CONFIGURE OUTPUT ${dir}/second.cpp CONTENT "${all}int main() {}\n" @ONLY)

  add_library(chime_each_header OBJECT ${sources})
  add_executable(chime_headers_twice ${dir}/first.cpp ${dir}/second.cpp)
  foreach(target chime_each_header chime_headers_twice)
    target_link_libraries(${target} PRIVATE chime_private)
    if(NOT MSVC)
      target_compile_options(${target} PRIVATE -O0) # nothing of it is run
    endif()
  endforeach()
  chime_add_test(headers.twice chime_headers_twice check 60)
endfunction()
