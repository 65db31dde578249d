// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// What every kind of timer has at its heart: a deadline, an interval, and whether it is in the
/// wheel.
///
///            arm()             expire(), periodic
///     idle ---------> armed -----------------------> waiting
///       ^               |  expire(), one-shot           |  forward() carries the deadline on,
///       +---------------+                               |  as often as anybody asks;
///       |                 ^-----------------------------+  rearm() puts it back in the wheel
///       +---- disarm(), abandon()
///
/// `waiting` is what makes periodic timers cheap (E3, E5): having expired, the timer leaves the
/// wheel until somebody takes the expiry, so an interval of 1 ns costs no more than one of an hour.
/// The hrtimers behind timerfd, POSIX timers and ITIMER_REAL do the same (they return
/// HRTIMER_NORESTART).

#include <chime/rules.hpp>

#include <chrono>
#include <cstdint>

namespace chime::engine {

using std::chrono::nanoseconds;

class armed_timer {
 public:
  /// Expires at `deadline`, then every `interval` if that is positive.
  constexpr void arm(nanoseconds deadline, nanoseconds interval) noexcept {
    deadline_ = deadline;
    interval_ = interval;
    state_ = state::armed;
  }

  /// Does not expire. `interval` is what is read back (F5, I3).
  constexpr void disarm(nanoseconds interval) noexcept {
    deadline_ = nanoseconds::min();  // long past: nothing remains
    interval_ = interval;
    state_ = state::idle;
  }

  /// Does not expire, with the deadline left standing for whoever asks what remains.
  constexpr void abandon(nanoseconds interval) noexcept {
    interval_ = interval;
    state_ = state::idle;
  }

  /// Notes that the deadline is reached. True if this expiry is new: once per deadline in the
  /// wheel.
  constexpr bool expire(nanoseconds now) noexcept {
    if (state_ != state::armed || !rules::is_due(deadline_, now)) return false;
    state_ = interval_ > nanoseconds::zero() ? state::waiting : state::idle;
    scheduled_ = deadline_;
    return true;
  }

  /// Carries a periodic timer forward to `now`. Returns the expirations passed; the deadline is
  /// then after `now`. None, and nothing changes, where a clock stepped back before the deadline
  /// (F13).
  constexpr std::uint64_t forward(nanoseconds now) noexcept {
    const rules::forwarded next = rules::forward(deadline_, interval_, now);
    if (next.expirations == 0) return 0;
    scheduled_ = rules::saturating_advance(deadline_, interval_, next.expirations - 1);
    deadline_ = next.deadline;
    return next.expirations;
  }

  /// Carries a periodic timer on by one interval, however late it is (I5).
  constexpr void step() noexcept { deadline_ = rules::saturating_advance(deadline_, interval_, 1); }

  /// Puts a waiting timer back in the wheel.
  constexpr void rearm() noexcept { state_ = state::armed; }

  /// The deadline to be filed in the wheel; `rules::never` if there is none.
  [[nodiscard]] constexpr nanoseconds next_deadline() const noexcept {
    return is_armed() ? deadline_ : rules::never;
  }

  /// When the last expiry that was noted or passed was due.
  [[nodiscard]] constexpr nanoseconds scheduled() const noexcept { return scheduled_; }

  [[nodiscard]] constexpr nanoseconds remaining(nanoseconds now) const noexcept {
    return rules::remaining(deadline_, now);
  }
  [[nodiscard]] constexpr nanoseconds interval() const noexcept { return interval_; }

  [[nodiscard]] constexpr bool is_idle() const noexcept { return state_ == state::idle; }
  [[nodiscard]] constexpr bool is_armed() const noexcept { return state_ == state::armed; }
  [[nodiscard]] constexpr bool is_waiting() const noexcept { return state_ == state::waiting; }

  friend constexpr bool operator==(const armed_timer&, const armed_timer&) = default;

 private:
  enum class state : std::uint8_t { idle, armed, waiting };

  nanoseconds deadline_ = nanoseconds::min();
  nanoseconds interval_{};
  nanoseconds scheduled_{};
  state state_ = state::idle;
};

}  // namespace chime::engine
