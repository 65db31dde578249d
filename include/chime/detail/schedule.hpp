// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock.hpp>
#include <chime/expiry.hpp>
#include <chime/read_clock.hpp>
#include <chime/rules.hpp>
#include <chime/setting.hpp>

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace chime::detail {

/// The time on a clock, on the given thread's where that is a thread's.
template <class Clock>
[[nodiscard]] nanoseconds read_clock_of([[maybe_unused]] thread_clock thread) noexcept {
  if constexpr (Clock::kind == clock_kind::thread_cpu)
    return read_clock(thread);
  else
    return read_clock(Clock::kind);
}

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
  /// \param thread whose clock it is, where that is a thread's
  explicit schedule(const setting<Clock>& made, thread_clock thread = this_thread()) noexcept
      : thread_{thread},
        is_detached_{detaches && !made.is_absolute()},
        next_{made.is_absolute() ? made.value : rules::deadline_after(now(), made.value)},
        interval_{made.interval} {}

  /// Whether the deadlines lie on another clock than the timer's.
  [[nodiscard]] bool is_detached() const noexcept { return is_detached_; }

  /// The next deadline. \pre it is not detached
  [[nodiscard]] typename Clock::time_point next() const noexcept {
    return typename Clock::time_point{next_};
  }

  [[nodiscard]] nanoseconds interval() const noexcept { return interval_; }

  /// How many expirations are due by now that were not taken. \pre it is armed
  [[nodiscard]] std::uint64_t due() const noexcept {
    return rules::expirations_by(next_, interval_, now());
  }

  /// How to set a timer to the deadline after `expirations` more.
  struct value_of {
    bool is_absolute;
    nanoseconds value;
  };
  [[nodiscard]] value_of after(std::uint64_t expirations) const noexcept {
    const nanoseconds deadline = rules::saturating_advance(next_, interval_, expirations);
    if (!is_detached_) return {true, deadline};
    return {false, std::max(rules::remaining(deadline, now()), nanoseconds{1})};
  }

  /// Notes that expirations were lost which nobody has counted: the next is the first one that is no
  /// earlier than `bound`.
  void skip_to(nanoseconds bound) noexcept {
    const auto lost = rules::expirations_by(next_, interval_, bound - nanoseconds{1});
    next_ = rules::saturating_advance(next_, interval_, lost);
  }

  /// Notes that the timer reported `expirations`.
  expiry<Clock> take(std::uint64_t expirations) noexcept {
    if (expirations == 0) return {};
    const nanoseconds last = rules::saturating_advance(next_, interval_, expirations - 1);
    next_ = rules::saturating_add(last, interval_);
    return {expirations, on_clock(last)};
  }

 private:
  static thread_clock this_thread() noexcept {
    return Clock::kind == clock_kind::thread_cpu ? clock_of_this_thread() : thread_clock{};
  }

  /// The time where the deadlines lie.
  [[nodiscard]] nanoseconds now() const noexcept {
    return is_detached_ ? relative_clock::now().time_since_epoch() : read_clock_of<Clock>(thread_);
  }

  [[nodiscard]] typename Clock::time_point on_clock(nanoseconds instant) const noexcept {
    if (!is_detached_) return typename Clock::time_point{instant};
    return Clock::now() - (relative_clock::now().time_since_epoch() - instant);
  }

  thread_clock thread_{};
  bool is_detached_ = false;
  nanoseconds next_{};
  nanoseconds interval_{};
};

}  // namespace chime::detail
