// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The clocks that timers run on, as std::chrono clocks in nanoseconds. See clock_gettime(2).
///
/// | clock                  | counts                           | suspend  | can be set |
/// |------------------------|----------------------------------|----------|------------|
/// | `monotonic_clock`      | since boot                       | stands   | no         |
/// | `boottime_clock`       | since boot                       | runs on  | no         |
/// | `realtime_clock`       | Unix time                        | runs on  | yes        |
/// | `tai_clock`            | Unix time + TAI offset           | runs on  | yes        |
/// | `realtime_alarm_clock` | as realtime; wakes the machine   | runs on  | yes        |
/// | `boottime_alarm_clock` | as boottime; wakes the machine   | runs on  | no         |
/// | `process_cpu_clock`    | CPU time of all this process's threads | stands | no       |
/// | `thread_cpu_clock`     | CPU time of the calling thread   | stands   | no         |
///
/// An alarm clock reads the same time as the clock it is named after and shares its time_point, so
/// a deadline taken from one sets a timer on the other. `realtime_clock` shares std::chrono's Unix
/// time, so calendar arithmetic gives deadlines for it.
///
/// Thread safety: every function may be called from any thread.

#include <chime/clock_kind.hpp>
#include <chime/duration.hpp>

#include <chrono>
#include <cstdint>
#include <ctime>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace chime {

#if defined(__linux__)
namespace clock_detail {

/// The kernel's timespec with 64-bit seconds, whatever the C library's time_t: the calls that end
/// in `64` take it on 32-bit machines.
struct kernel_timespec {
  std::int64_t tv_sec;
  std::int64_t tv_nsec;
};
inline constexpr bool libc_is_time64 = sizeof(std::time_t) >= sizeof(std::int64_t);

/// clock_gettime(2), clean past 2038. 0, or -1 with errno.
inline int gettime(clockid_t id, kernel_timespec& now) noexcept {
#if defined(SYS_clock_gettime64)
  if constexpr (!libc_is_time64) return static_cast<int>(::syscall(SYS_clock_gettime64, id, &now));
#endif
  ::timespec t{};
  const int result = ::clock_gettime(id, &t);
  now = {t.tv_sec, t.tv_nsec};
  return result;
}

constexpr clockid_t id_of(clock_kind kind) noexcept {
  switch (kind) {
    case clock_kind::realtime: return CLOCK_REALTIME;
    case clock_kind::monotonic: return CLOCK_MONOTONIC;
    case clock_kind::boottime: return CLOCK_BOOTTIME;
    case clock_kind::realtime_alarm: return CLOCK_REALTIME_ALARM;
    case clock_kind::boottime_alarm: return CLOCK_BOOTTIME_ALARM;
    case clock_kind::tai: return CLOCK_TAI;
    case clock_kind::process_cpu: return CLOCK_PROCESS_CPUTIME_ID;
    case clock_kind::thread_cpu: return CLOCK_THREAD_CPUTIME_ID;
  }
  return -1;
}

/// The time now. Reading one of these clocks does not fail on a kernel that chime supports.
inline nanoseconds now(clock_kind kind) noexcept {
  kernel_timespec t{};
  // An alarm clock itself cannot be read where there is no RTC.
  gettime(id_of(without_alarm(kind)), t);
  return nanoseconds{t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

}  // namespace clock_detail
#endif

/// What the clocks of the table have in common. `Epoch` is the clock whose time_point this one
/// shares.
template <class Clock, clock_kind Kind, class Epoch = Clock>
struct basic_clock {
  static constexpr clock_kind kind = Kind;
  static constexpr bool is_steady = !can_be_set(Kind);

  using duration = nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Epoch, duration>;

  /// The time now, at the clock's full resolution.
  [[nodiscard]] static time_point now() noexcept { return time_point{clock_detail::now(Kind)}; }
};

struct monotonic_clock : basic_clock<monotonic_clock, clock_kind::monotonic> {};
struct boottime_clock : basic_clock<boottime_clock, clock_kind::boottime> {};
struct boottime_alarm_clock
    : basic_clock<boottime_alarm_clock, clock_kind::boottime_alarm, boottime_clock> {};
struct realtime_clock
    : basic_clock<realtime_clock, clock_kind::realtime, std::chrono::system_clock> {};
struct realtime_alarm_clock
    : basic_clock<realtime_alarm_clock, clock_kind::realtime_alarm, std::chrono::system_clock> {};
struct tai_clock : basic_clock<tai_clock, clock_kind::tai> {};
struct process_cpu_clock : basic_clock<process_cpu_clock, clock_kind::process_cpu> {};
struct thread_cpu_clock : basic_clock<thread_cpu_clock, clock_kind::thread_cpu> {};

}  // namespace chime
