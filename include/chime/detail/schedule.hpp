// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock.hpp>
#include <chime/expiry.hpp>
#include <chime/rules.hpp>
#include <chime/setting.hpp>

#include <cstdint>
#include <type_traits>

namespace chime::detail {

/// Tells when the expirations that a timer reports were due.
///
/// Whoever keeps the timer reports counts. The n expirations of one take are the next n deadlines
/// in phase, so the schedule follows from the counts alone, however late anybody was:
///
///     next            next+I          next+2I         next+3I
///      |---------------|---------------|---------------|
///      `------------ take(3) ----------'               `- next from now on
///                                      ^ scheduled
template <class Clock>
class schedule {
  // Where a relative deadline lies on another clock than the timer's, that is MONOTONIC.
  static constexpr bool detaches =
      kept_on(Clock::kind, reference::relative) != without_alarm(Clock::kind);
  using relative_clock = std::conditional_t<detaches, monotonic_clock, Clock>;

 public:
  /// Nothing is scheduled.
  constexpr schedule() noexcept = default;

  /// What `made` schedules when it takes effect now. Taken before the timer is set, so that no
  /// expiration seems to come before its time.
  explicit schedule(const setting<Clock>& made) noexcept
      : next_{made.is_absolute()
                  ? made.value
                  : rules::deadline_after(relative_clock::now().time_since_epoch(), made.value)},
        interval_{made.interval},
        is_detached_{detaches && !made.is_absolute()} {}

  /// Whether the deadlines lie on another clock than the timer's.
  [[nodiscard]] bool is_detached() const noexcept { return is_detached_; }

  /// The next deadline. \pre it is not detached
  [[nodiscard]] typename Clock::time_point next() const noexcept {
    return typename Clock::time_point{next_};
  }

  /// Notes that the timer reported `expirations`.
  expiry<Clock> take(std::uint64_t expirations) noexcept {
    if (expirations == 0) return {};
    const nanoseconds last = rules::saturating_advance(next_, interval_, expirations - 1);
    next_ = rules::saturating_add(last, interval_);
    return {expirations, on_clock(last)};
  }

 private:
  [[nodiscard]] typename Clock::time_point on_clock(nanoseconds instant) const noexcept {
    if (!is_detached_) return typename Clock::time_point{instant};
    return Clock::now() - (relative_clock::now().time_since_epoch() - instant);
  }

  nanoseconds next_{};
  nanoseconds interval_{};
  bool is_detached_ = false;
};

}  // namespace chime::detail
