// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// A POSIX per-process timer as a value: rules P. See timer_settime(2), timer_getoverrun(2); the
/// kernel's are kernel/time/posix-timers.c, posix-cpu-timers.c and alarmtimer.c, which keep the
/// same rules (6.18).
///
/// How it is driven. `now` is always the time on `filed_on()`. Keep the timer in that base's wheel
/// at `next_deadline()`, looking again after every call that is not const; when the deadline is
/// reached, call `expire(now)` before anything else. If it returns true, queue one notification
/// that carries `sequence()`. When somebody accepts a notification, call `accept(now, its
/// sequence)`: that says whether it still counts, and how many expirations it stands for.
///
///     expire -> notification queued ......... accept: overrun fixed, timer back in the wheel
///                   |  the timer is out of the wheel meanwhile: one notification in flight (P5)
///                   +-- settime, timer gone: accept says no (P4, P9)

#include <chime/engine/armed_timer.hpp>
#include <chime/engine/base.hpp>
#include <chime/engine/timer_spec.hpp>

#include <cstdint>

namespace chime::engine {

/// Whether a timer tells anybody (SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID) or is only asked
/// (SIGEV_NONE).
enum class notifies : std::uint8_t { by_signal, never };

/// What became of a notification that somebody accepted.
struct acceptance {
  bool counts = false;            ///< false: a leftover of an earlier setting; drop it
  std::uint64_t expirations = 0;  ///< 0 where a clock stepped back before the deadline since
  nanoseconds scheduled{};        ///< when the last of them was due, on `filed_on()`

  /// si_overrun.
  [[nodiscard]] constexpr int overrun() const noexcept { return rules::overrun_of(expirations); }

  friend constexpr bool operator==(const acceptance&, const acceptance&) = default;
};

class posix_timer_model {
 public:
  explicit constexpr posix_timer_model(clock_kind clock,
                                       notifies how = notifies::by_signal) noexcept
      : clock_{clock}, base_{base_of(clock, reference::absolute)}, notifies_{how} {}

  /// timer_settime(2). Drops what is pending from the old setting (P4).
  /// \param is_old_wanted whether the caller asks for the old setting: only then a timer that never
  ///        notifies is carried on before, which shows where it is disarmed (6.18)
  /// \return invalid: nothing changed.
  constexpr set_result settime(const new_setting& next, set_time now,
                               bool is_old_wanted = true) noexcept {
    if (!rules::is_valid(next.value, next.interval)) return {status::invalid, {}};
    const timer_spec old = is_old_wanted ? gettime(now.here) : timer_spec{};
    withdraw();
    overrun_ = 0;
    if (next.value == nanoseconds::zero()) {
      disarm();
    } else {
      base_ = base_of(clock_, next.counted_from);
      timer_.arm(next.is_absolute() ? next.value : rules::deadline_after(now.there, next.value),
                 next.interval);
    }
    return {status::ok, old};
  }

  /// timer_gettime(2). A timer that is pending or never notifies is carried on here (P7, P8).
  constexpr timer_spec gettime(nanoseconds now) noexcept {
    const nanoseconds interval = timer_.interval();
    if (timer_.is_idle() && notifies_ == notifies::by_signal) return {};
    if (interval > nanoseconds::zero() && !is_filed()) passed_ += timer_.forward(now);
    const nanoseconds left = timer_.remaining(now);
    // Due, and not told so yet: never 0, which would say that it is disarmed.
    if (left == nanoseconds::zero() && is_filed()) return {nanoseconds{1}, interval};
    return {left, interval};
  }

  /// timer_getoverrun(2): of the last notification that was accepted, 0 after a new setting (P5).
  [[nodiscard]] constexpr int getoverrun() const noexcept { return overrun_; }

  /// The deadline is reached. \return whether to queue a notification with `sequence()`. If a
  /// leftover notification is still queued, giving it this sequence serves as well.
  constexpr bool expire(nanoseconds now) noexcept {
    if (!is_filed() || !timer_.expire(now)) return false;
    passed_ = timer_.is_waiting() ? 0 : 1;  // a periodic one's are counted as it is carried on
    notification_ = notification::queued;
    return true;
  }

  /// Whether a notification is queued for somebody to accept.
  [[nodiscard]] constexpr bool pending() const noexcept {
    return notification_ == notification::queued;
  }

  /// Somebody takes a notification: a handler runs, sigwaitinfo(2) returns. The overrun is fixed
  /// only now (P5), and a periodic timer goes back in the wheel.
  constexpr acceptance accept(nanoseconds now, std::uint32_t sequence) noexcept {
    if (sequence != sequence_ || notification_ != notification::queued) return {};
    notification_ = notification::none;
    if (timer_.is_waiting()) {
      passed_ += timer_.forward(now);
      timer_.rearm();
    }
    ++sequence_;
    const acceptance result{true, passed_, timer_.scheduled()};
    overrun_ = result.overrun();  // P6 saturates
    return result;
  }

  /// The notification meets a signal that is ignored, on its way or while queued: drop it from the
  /// queue. A periodic timer's waits until the signal is no longer ignored, a one-shot's is gone
  /// (P11).
  constexpr void ignored() noexcept {
    if (notification_ == notification::none) return;
    notification_ = timer_.is_waiting() ? notification::parked : notification::none;
  }

  /// The signal is no longer ignored. \return whether to queue a notification with `sequence()`
  /// now.
  constexpr bool no_longer_ignored() noexcept {
    if (notification_ != notification::parked) return false;
    notification_ = notification::queued;
    return true;
  }

  /// Drops the pending notification, as timer_delete(2) does (P9).
  constexpr void withdraw() noexcept {
    ++sequence_;
    notification_ = notification::none;
  }

  /// Marks a notification; one with any other sequence is a leftover.
  [[nodiscard]] constexpr std::uint32_t sequence() const noexcept { return sequence_; }

  /// The base to file the timer on (C2), and where it would be for another setting.
  [[nodiscard]] constexpr base filed_on() const noexcept { return base_; }
  [[nodiscard]] constexpr base filed_on(reference counted_from) const noexcept {
    return base_of(clock_, counted_from);
  }

  /// When to call `expire`; `rules::never` while there is nothing to wait for.
  [[nodiscard]] constexpr nanoseconds next_deadline() const noexcept {
    return is_filed() ? timer_.next_deadline() : rules::never;
  }

  friend constexpr bool operator==(const posix_timer_model&, const posix_timer_model&) = default;

 private:
  enum class notification : std::uint8_t { none, queued, parked };

  /// P3: the interval goes too. One that never notifies keeps its deadline, on the base that it was
  /// on, and gettime goes on counting down to it; not on CPU clocks (6.18: common_timer_set() leaves
  /// the hrtimer's old expiry).
  constexpr void disarm() noexcept {
    if (notifies_ == notifies::never && !counts_cpu(clock_)) {
      timer_.abandon(nanoseconds::zero());
    } else {
      timer_.disarm(nanoseconds::zero());
    }
  }

  constexpr bool is_filed() const noexcept {
    return timer_.is_armed() && notifies_ == notifies::by_signal;
  }

  armed_timer timer_;
  std::uint64_t passed_ =
      0;  ///< expirations the pending notification stands for so far; set by expire()
  std::uint32_t sequence_ = 0;
  int overrun_ = 0;
  clock_kind clock_;
  base base_;
  notifies notifies_;
  notification notification_ = notification::none;
};

}  // namespace chime::engine
