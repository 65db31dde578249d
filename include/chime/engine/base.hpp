// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The time lines on which deadlines are kept in order, and which of them a timer lives on.

#include <chime/clock_kind.hpp>

#include <cstdint>

namespace chime::engine {

/// A time line. What `now` means to a model is the reading of its base.
enum class base : std::uint8_t {
  monotonic,
  realtime,
  boottime,
  tai,
  process_cpu,  ///< user + system time of the process, or of the one that the timer's clock names
  thread_cpu,   ///< the same of one thread
  user_cpu,     ///< user time of the process: ITIMER_VIRTUAL
};

/// Whether the base counts CPU time.
[[nodiscard]] constexpr bool is_cpu(base on) noexcept {
  return on == base::process_cpu || on == base::thread_cpu || on == base::user_cpu;
}

/// Whether somebody can set the base's clock, so that it steps.
[[nodiscard]] constexpr bool can_step(base on) noexcept {
  return on == base::realtime || on == base::tai;
}

/// The base on which a timer of this clock is filed.
[[nodiscard]] constexpr base base_of(clock_kind clock, reference counted_from) noexcept {
  switch (kept_on(clock, counted_from)) {
    case clock_kind::realtime: return base::realtime;
    case clock_kind::boottime: return base::boottime;
    case clock_kind::tai: return base::tai;
    case clock_kind::process_cpu: return base::process_cpu;
    case clock_kind::thread_cpu: return base::thread_cpu;
    case clock_kind::user_cpu: return base::user_cpu;
    default: return base::monotonic;
  }
}

}  // namespace chime::engine
