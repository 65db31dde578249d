# Each folder under include/chime/ is a room, and includes only what stands above it (the design's table
# of rooms). What each room may include is said here, once: headers.cmake proves it with the compiler,
# check_text.cmake by reading.
set(CHIME_BASE rules duration clock_kind read_clock thread_clock clock itimer_kind setting error expiry version
  aio_operation)

# chime_room(OUT HEADER): the room of a header named as in #include <chime/...>.
function(chime_room out header)
  if(header MATCHES "^chime/(shim|engine|detail|kernel|user)/")
    set(room ${CMAKE_MATCH_1})
  elseif(header MATCHES "^chime/([a-z0-9_]+)\\.hpp$" AND CMAKE_MATCH_1 IN_LIST CHIME_BASE)
    set(room base)
  else()
    set(room top)
  endif()
  set(${out} ${room} PARENT_SCOPE)
endfunction()

# The rooms and the Boost headers that a room may include besides its own. (System headers are not listed:
# a shim cannot do without.)
set(CHIME_MAY_INCLUDE_base "chime/base|boost/system/") # Boost in error.hpp only, see check_text.cmake
set(CHIME_MAY_INCLUDE_shim "chime/base|boost/system/")
set(CHIME_MAY_INCLUDE_engine "chime/base")
set(CHIME_MAY_INCLUDE_detail "chime/base|boost/")
set(CHIME_MAY_INCLUDE_user "chime/(base|shim|engine|detail)|boost/")
set(CHIME_MAY_INCLUDE_kernel "chime/(base|shim|engine|detail|user)|boost/") # waits for signals are the service's
set(CHIME_MAY_INCLUDE_top "chime/|boost/")

set(CHIME_WITHOUT_ASIO base shim engine)
set(CHIME_LINUX_ONLY shim kernel)
