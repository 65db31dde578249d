// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <cstdint>

namespace chime {

/// Names a clock as a value; `Clock::kind` of the types below.
enum class clock_kind : std::uint8_t {
  realtime,
  monotonic,
  boottime,
  realtime_alarm,
  boottime_alarm,
  tai,
  process_cpu,
  thread_cpu,
  user_cpu,
};

/// Whether somebody can set the clock, so that it steps.
[[nodiscard]] constexpr bool can_be_set(clock_kind kind) noexcept {
  return kind == clock_kind::realtime || kind == clock_kind::realtime_alarm ||
         kind == clock_kind::tai;
}

/// Whether the clock counts CPU time: it stands still while nobody runs.
[[nodiscard]] constexpr bool counts_cpu(clock_kind kind) noexcept {
  return kind == clock_kind::process_cpu || kind == clock_kind::thread_cpu ||
         kind == clock_kind::user_cpu;
}

/// The clock whose time an alarm clock shows. Any other shows its own.
[[nodiscard]] constexpr clock_kind without_alarm(clock_kind kind) noexcept {
  if (kind == clock_kind::realtime_alarm) return clock_kind::realtime;
  if (kind == clock_kind::boottime_alarm) return clock_kind::boottime;
  return kind;
}

/// Whether a value counts from now or from the clock's epoch.
enum class reference : unsigned char { relative, absolute };

/// The clock on whose time line a timer's deadline lies. A step of that clock moves the timer.
///
/// | clock                    | relative    | absolute   | a step moves a relative timer      |
/// |--------------------------|-------------|------------|------------------------------------|
/// | `realtime`               | `monotonic` | `realtime` | no: hrtimer_setup() in hrtimer.c   |
/// | `realtime_alarm`         | `realtime`  | `realtime` | yes: alarm_start_relative()        |
/// | `tai`                    | `tai`       | `tai`      | yes                                |
/// | any other                | itself      | itself     | it cannot be set                   |
///
/// (Linux 6.18, as /proc/timer_list shows it.)
[[nodiscard]] constexpr clock_kind kept_on(clock_kind kind, reference counted_from) noexcept {
  if (kind == clock_kind::realtime && counted_from == reference::relative)
    return clock_kind::monotonic;
  return without_alarm(kind);
}

}  // namespace chime
