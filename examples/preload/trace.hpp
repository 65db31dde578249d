// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// CHIME_PRELOAD_TRACE=1: one line a call on standard error, such as
///
///     chime[4711] timerfd_settime(3, 0, {0.500000000 every 0.000000000}, 0x0) = 0
///     chime[4711] timer_delete(7) = -1 EINVAL
///
/// Written with one write(2) and nothing else, so from a signal handler as well.

#include "kernel.hpp"

#include <sys/time.h>

namespace preload {

extern constinit bool is_traced;
void init_trace() noexcept;

/// Says something on standard error.
void complain(const char* text) noexcept;

/// A line under construction. What does not fit is cut off.
class trace_line {
 public:
  explicit trace_line(const char* call) noexcept;
  void add(long argument) noexcept;
  void add(int argument) noexcept { add(long{argument}); }
  void add(unsigned argument) noexcept { add(static_cast<long>(argument)); }
  void add(std::size_t argument) noexcept { add(static_cast<long>(argument)); }
  void add(const void* argument) noexcept;
  void add(const ::itimerspec* argument) noexcept;
  void add(const ::itimerval* argument) noexcept;
  void write(long result) noexcept;

 private:
  void put(char c) noexcept;
  void put(const char* text) noexcept;
  void put(std::int64_t n) noexcept;
  void put(std::int64_t seconds, std::int64_t fraction, int digits) noexcept;
  void separate() noexcept;

  char text_[400];
  std::size_t size_ = 0;
  bool has_arguments_ = false;
};

/// Hands `result` on, having traced it.
template <class... Arguments>
long traced(const char* call, long result, Arguments... arguments) noexcept {
  if (is_traced) {
    trace_line line{call};
    (line.add(arguments), ...);
    line.write(result);
  }
  return result;
}

}  // namespace preload
