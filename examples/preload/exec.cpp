// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The exec family. All functions are here, as those of libc call each other past our symbols.

#include "itimers.hpp"
#include "kernel.hpp"
#include "symbol.hpp"

#include <alloca.h>
#include <unistd.h>
#include <cstdarg>

namespace preload {
namespace {

template <class Exec>
long exec(Exec go) noexcept {
  const bool handed_over = hand_over_itimers();
  const long result = go();  // returns only where it fails
  if (handed_over) take_back_itimers();
  return result;
}

}  // namespace

namespace sys {
long execve(const char* path, char* const* arguments, char* const* environment) noexcept {
  return exec([&] { return raw(SYS_execve, path, arguments, environment); });
}
long execveat(int dir, const char* path, char* const* arguments, char* const* environment,
              int flags) noexcept {
  return exec([&] { return raw(SYS_execveat, dir, path, arguments, environment, flags); });
}
}  // namespace sys

}  // namespace preload

using namespace preload;

PRELOAD_EXPORT(int, execve, const char* path, char* const* arguments, char* const* environment) {
  return static_cast<int>(exec([&] { return PRELOAD_NEXT(execve)(path, arguments, environment); }));
}
PRELOAD_EXPORT(int, execv, const char* path, char* const* arguments) {
  return preload_execve(path, arguments, ::environ);
}
PRELOAD_EXPORT(int, execvpe, const char* file, char* const* arguments, char* const* environment) {
  return static_cast<int>(
      exec([&] { return PRELOAD_NEXT(execvpe)(file, arguments, environment); }));
}
PRELOAD_EXPORT(int, execvp, const char* file, char* const* arguments) {
  return preload_execvpe(file, arguments, ::environ);
}
PRELOAD_EXPORT(int, fexecve, int fd, char* const* arguments, char* const* environment) {
  return static_cast<int>(exec([&] { return PRELOAD_NEXT(fexecve)(fd, arguments, environment); }));
}
PRELOAD_EXPORT(int, execveat, int dir, const char* path, char* const* arguments,
               char* const* environment, int flags) {
  return static_cast<int>(to_libc(sys::execveat(dir, path, arguments, environment, flags)));
}

// The arguments of a call as an array on the stack: malloc may not be called between fork and exec.
#define PRELOAD_COLLECT(first, list, arguments)                                      \
  std::size_t count = 1;                                                             \
  va_list list;                                                                      \
  va_start(list, first);                                                             \
  while (va_arg(list, const char*) != nullptr) ++count;                              \
  va_end(list);                                                                      \
  auto** const arguments = static_cast<char**>(alloca((count + 1) * sizeof(char*))); \
  va_start(list, first);                                                             \
  arguments[0] = const_cast<char*>(first);                                           \
  for (std::size_t i = 1; i <= count; ++i) arguments[i] = va_arg(list, char*)

PRELOAD_EXPORT(int, execl, const char* path, const char* first, ...) {
  PRELOAD_COLLECT(first, list, arguments);
  va_end(list);
  return preload_execve(path, arguments, ::environ);
}
PRELOAD_EXPORT(int, execlp, const char* file, const char* first, ...) {
  PRELOAD_COLLECT(first, list, arguments);
  va_end(list);
  return preload_execvpe(file, arguments, ::environ);
}
PRELOAD_EXPORT(int, execle, const char* path, const char* first, ...) {
  PRELOAD_COLLECT(first, list, arguments);
  char* const* const environment = va_arg(list, char* const*);
  va_end(list);
  return preload_execve(path, arguments, environment);
}
