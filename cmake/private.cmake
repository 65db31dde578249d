# chime_private: what chime's own programs are built with, and no consumer ever sees.
add_library(chime_private INTERFACE)
target_link_libraries(chime_private INTERFACE chime::chime)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF) # there are none; to look for them doubles the build

if(MSVC)
  target_compile_options(chime_private INTERFACE /W4 /permissive- $<$<BOOL:${CHIME_WERROR}>:/WX>)
else()
  target_compile_options(chime_private INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual $<$<BOOL:${CHIME_WERROR}>:-Werror>)
endif()

if(CHIME_SANITIZE)
  target_compile_options(chime_private INTERFACE
    -fsanitize=${CHIME_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    -O0 -g1 # quick to compile, and still a line number for each frame
    -D_GLIBCXX_ASSERTIONS) # what sanitizers cannot see: an empty optional, say
  target_link_options(chime_private INTERFACE -fsanitize=${CHIME_SANITIZE})
endif()

# Runs a test program: an emulator in a cross build. TSan of g++ 12 stops where the kernel randomises
# more address bits than it knows of, so switch that off where one may.
set(launcher ${CMAKE_CROSSCOMPILING_EMULATOR})
if(CHIME_SANITIZE MATCHES "thread")
  execute_process(COMMAND setarch -R true RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
  if(result EQUAL 0)
    set(launcher setarch -R)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # It warns of each std::atomic_thread_fence, Asio's too.
    target_compile_options(chime_private INTERFACE -Wno-tsan)
  endif()
endif()
set(CHIME_TEST_LAUNCHER ${launcher} CACHE STRING "Command that runs each test program")

# chime_add_test(NAME TARGET LABEL TIMEOUT [argument...])
function(chime_add_test name target label timeout)
  add_test(NAME ${name} COMMAND ${CHIME_TEST_LAUNCHER} $<TARGET_FILE:${target}> ${ARGN})
  # One at a time: some set the clock (by a nanosecond), and all tell the time.
  set_tests_properties(${name} PROPERTIES
    LABELS ${label} TIMEOUT ${timeout} SKIP_RETURN_CODE 77 RUN_SERIAL TRUE)
endfunction()

if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(CHIME_CCACHE ccache)
  mark_as_advanced(CHIME_CCACHE)
  if(CHIME_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CHIME_CCACHE})
  endif()
endif()
