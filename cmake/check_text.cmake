# What the compiler cannot see: reads every source file and reports what the project forbids itself.
#   cmake -P cmake/check_text.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/rooms.cmake)
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)

set(complaints)
macro(complain what)
  string(APPEND complaints "  ${file}: ${what}\n")
endmacro()

file(GLOB_RECURSE files RELATIVE ${root}
  ${root}/include/*.hpp ${root}/examples/*.[ch]pp ${root}/tests/*.[ch]pp)
list(LENGTH files count)
if(NOT files MATCHES "include/chime/chime.hpp")
  message(FATAL_ERROR "include/chime/chime.hpp not found: this check looks in the wrong place")
endif()

foreach(file IN LISTS files)
  file(READ ${root}/${file} text)

  # One file measures Asio's own timer queue beside the wheel.
  if(NOT file STREQUAL "tests/bench/peers/queues.cpp"
      AND text MATCHES "asio(::|/)detail|namespace[ \t\n]+asio[ \t\n]*{")
    complain("'${CMAKE_MATCH_0}': Asio's internals are not ours to use")
  endif()

  string(REGEX MATCHALL "#[ \t]*include[ \t]*[<\"][^>\"]+[>\"]" includes "${text}")
  if(file MATCHES "^include/(.*)")
    set(header ${CMAKE_MATCH_1})
    chime_room(room ${header})
  else()
    set(room "")
  endif()
  foreach(include IN LISTS includes)
    string(REGEX REPLACE ".*[<\"]([^>\"]+)[>\"]" "\\1" included ${include})
    if(included STREQUAL "boost/asio.hpp")
      complain("includes all of Asio")
    endif()
    if(NOT room)
      continue() # the rest is for headers
    endif()

    if(include MATCHES "\"")
      complain("${include}: write <chime/...>")
    endif()
    if(included MATCHES "^chime/")
      chime_room(included_room ${included})
      if(included_room STREQUAL room)
        continue()
      endif()
      set(wanted chime/${included_room})
    elseif(included MATCHES "^boost/")
      set(wanted ${included})
    else()
      continue() # a system header
    endif()
    if(NOT wanted MATCHES "^(${CHIME_MAY_INCLUDE_${room}})"
        OR (room STREQUAL "base" AND wanted MATCHES "^boost/" AND NOT header STREQUAL "chime/error.hpp"))
      complain("<${included}> is out of bounds for the room '${room}'")
    endif()
  endforeach()
endforeach()

if(complaints)
  message(FATAL_ERROR "The text check found:\n${complaints}")
endif()
message(STATUS "text check: ${count} files, nothing to complain of")
