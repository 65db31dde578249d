# In a cross build this machine's Boost and doctest serve, as they are headers alone; but not the rest of
# /usr/include. So they are found by way of links in a directory of their own.
set(CHIME_HOST_HEADERS ${CMAKE_BINARY_DIR}/host)
file(MAKE_DIRECTORY ${CHIME_HOST_HEADERS})
foreach(library boost doctest)
  if(NOT EXISTS ${CHIME_HOST_HEADERS}/${library})
    file(CREATE_LINK /usr/include/${library} ${CHIME_HOST_HEADERS}/${library} SYMBOLIC)
  endif()
endforeach()
set(Boost_INCLUDE_DIR ${CHIME_HOST_HEADERS})
set(Boost_NO_BOOST_CMAKE ON)
if(NOT TARGET doctest::doctest)
  add_library(doctest::doctest INTERFACE IMPORTED GLOBAL)
  set_target_properties(doctest::doctest PROPERTIES
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${CHIME_HOST_HEADERS}
    INTERFACE_INCLUDE_DIRECTORIES ${CHIME_HOST_HEADERS})
endif()
