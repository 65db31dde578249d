// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock.hpp>

namespace chime::shim {

/// A clock as the kernel numbers it. Other values, such as a thread's CPU clock, are made by cast.
enum class clock_id : clockid_t {
  realtime = CLOCK_REALTIME,
  monotonic = CLOCK_MONOTONIC,
  process_cputime = CLOCK_PROCESS_CPUTIME_ID,
  thread_cputime = CLOCK_THREAD_CPUTIME_ID,
  monotonic_raw = CLOCK_MONOTONIC_RAW,
  realtime_coarse = CLOCK_REALTIME_COARSE,
  monotonic_coarse = CLOCK_MONOTONIC_COARSE,
  boottime = CLOCK_BOOTTIME,
  realtime_alarm = CLOCK_REALTIME_ALARM,
  boottime_alarm = CLOCK_BOOTTIME_ALARM,
  tai = CLOCK_TAI,
};

/// The kernel's number of a chime clock.
[[nodiscard]] constexpr clock_id id_of(clock_kind kind) noexcept {
  return static_cast<clock_id>(clock_detail::id_of(kind));
}

/// timespec with 64-bit seconds on every architecture.
using timespec = clock_detail::kernel_timespec;

/// itimerspec with 64-bit seconds on every architecture.
struct itimerspec {
  timespec it_interval;
  timespec it_value;
};

/// To and from the C library's own type, for its functions where its time_t has 64 bits.
[[nodiscard]] constexpr ::itimerspec to_libc(const itimerspec& t) noexcept {
  ::itimerspec out{};
  out.it_interval.tv_sec = static_cast<std::time_t>(t.it_interval.tv_sec);
  out.it_interval.tv_nsec = static_cast<long>(t.it_interval.tv_nsec);
  out.it_value.tv_sec = static_cast<std::time_t>(t.it_value.tv_sec);
  out.it_value.tv_nsec = static_cast<long>(t.it_value.tv_nsec);
  return out;
}
[[nodiscard]] constexpr itimerspec from_libc(const ::itimerspec& t) noexcept {
  return {{t.it_interval.tv_sec, t.it_interval.tv_nsec}, {t.it_value.tv_sec, t.it_value.tv_nsec}};
}

}  // namespace chime::shim
