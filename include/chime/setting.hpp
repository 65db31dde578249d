// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock_kind.hpp>
#include <chime/duration.hpp>

#include <chrono>

namespace chime {

/// What becomes of an absolute timer when its clock is set (steps).
enum class on_clock_set : unsigned char {
  follow,  ///< the deadline stands; a step past it expires the timer
  cancel,  ///< as follow, and the next wait fails with error::clock_was_set() (CANCEL_ON_SET)
};
inline constexpr on_clock_set cancel_on_clock_set = on_clock_set::cancel;

/// How a timer is set: the time of its first expiry and the interval at which it goes on.
///
/// A zero value disarms. Only a relative setting is ever read back, so its value is the time
/// remaining. It is plain data: whether the times are valid is judged by the timer that is set
/// (EINVAL where the value or the interval is negative, even when the value disarms).
template <class Clock>
struct setting {
  /// Time to the first expiry, from now or from the clock's epoch. Zero disarms.
  nanoseconds value{};

  /// Time from each expiry to the next. Zero expires once.
  nanoseconds interval{};

  reference counted_from = reference::relative;

  /// Counts only for an absolute value on realtime_clock or realtime_alarm_clock.
  chime::on_clock_set on_clock_set = chime::on_clock_set::follow;

  /// Expires once after `value`, then every `interval` if that is positive.
  [[nodiscard]] static constexpr setting after(nanoseconds value,
                                               nanoseconds interval = {}) noexcept {
    return {.value = value, .interval = interval};
  }

  /// Expires at `deadline`, then every `interval` if that is positive. A deadline in the past
  /// expires at once, with every interval since then counted. The clock's very epoch disarms.
  [[nodiscard]] static constexpr setting at(
      typename Clock::time_point deadline, nanoseconds interval = {},
      chime::on_clock_set step = chime::on_clock_set::follow) noexcept {
    return {.value = deadline.time_since_epoch(),
            .interval = interval,
            .counted_from = reference::absolute,
            .on_clock_set = step};
  }

  /// Expires every `interval`, the first time after one of them.
  [[nodiscard]] static constexpr setting every(nanoseconds interval) noexcept {
    return {.value = interval, .interval = interval};
  }

  /// Does not expire.
  [[nodiscard]] static constexpr setting disarmed() noexcept { return {}; }

  [[nodiscard]] constexpr bool is_armed() const noexcept { return value != nanoseconds::zero(); }
  [[nodiscard]] constexpr bool is_absolute() const noexcept {
    return counted_from == reference::absolute;
  }

  friend constexpr bool operator==(const setting&, const setting&) = default;
};

}  // namespace chime
