// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The clocks that timers run on, as std::chrono clocks in nanoseconds. See clock_gettime(2), and
/// read_clock.hpp for what other systems than Linux have.
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
/// | `user_cpu_clock`       | the user part of process_cpu's   | stands   | no         |
///
/// An alarm clock reads the same time as the clock it is named after and shares its time_point, so
/// a deadline taken from one sets a timer on the other. `realtime_clock` shares std::chrono's Unix
/// time, so calendar arithmetic gives deadlines for it.
///
/// Thread safety: every function may be called from any thread.

#include <chime/clock_kind.hpp>
#include <chime/duration.hpp>
#include <chime/read_clock.hpp>

#include <chrono>

namespace chime {

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
  [[nodiscard]] static time_point now() noexcept { return time_point{read_clock(Kind)}; }
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
struct user_cpu_clock : basic_clock<user_cpu_clock, clock_kind::user_cpu> {};

}  // namespace chime
