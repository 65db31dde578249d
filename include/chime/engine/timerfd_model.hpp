// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// A timerfd as a value: rules F. See timerfd_create(2); the kernel's is fs/timerfd.c.
///
/// How it is driven. `now` is always the time on `filed_on()`. Keep the timer in that base's wheel
/// at `next_deadline()`, looking again after every call that is not const; when the deadline is
/// reached, call `expire(now)` before anything else. A result of true, or a status of ok from
/// `set_ticks`, means: wake whoever waits for the descriptor (an edge, to an edge-triggered
/// watcher). Nothing else wakes. Whether the descriptor is ready is `readable()`, at all times.

#include <chime/engine/armed_timer.hpp>
#include <chime/engine/base.hpp>
#include <chime/engine/timer_spec.hpp>

#include <cstdint>
#include <utility>

namespace chime::engine {

/// How a read treats a count of zero.
enum class reader : std::uint8_t {
  non_blocking,  ///< fails with EAGAIN
  blocking,      ///< waits, and then takes what it was woken for
};

/// The outcome of a read.
struct timerfd_read {
  status error = status::ok;  ///< again: nothing to take; a blocking reader waits and reads again
  std::uint64_t count = 0;    ///< zero without an error: read(2) returns 0, no bytes (F13)
  nanoseconds scheduled{};    ///< when the last of them was due, on `filed_on()`

  friend constexpr bool operator==(const timerfd_read&, const timerfd_read&) = default;
};

class timerfd_model {
 public:
  explicit constexpr timerfd_model(clock_kind clock) noexcept
      : clock_{clock}, base_{base_of(clock, reference::absolute)} {}

  /// timerfd_settime(2). \return invalid: nothing changed (E9). canceled: the clock had been set
  /// and nobody had read so; the new setting stands all the same (F11).
  constexpr set_result settime(const new_setting& next, set_time now) noexcept {
    if (!rules::is_valid(next.value, next.interval)) return {status::invalid, {}};
    cancels_ = can_cancel(next);
    const timer_spec old = gettime(now.here);  // F4: the same catch-up
    count_ = 0;                                // F3
    base_ = base_of(clock_, next.counted_from);
    if (next.value == nanoseconds::zero()) {
      disarm(next.interval);
      return {status::ok, old};
    }
    timer_.arm(next.is_absolute() ? next.value : rules::deadline_after(now.there, next.value),
               next.interval);
    return {take_cancellation() ? status::canceled : status::ok, old};
  }

  /// timerfd_gettime(2). Puts an expired periodic timer back in the wheel; no count is lost (F6).
  constexpr timer_spec gettime(nanoseconds now) noexcept {
    if (timer_.is_waiting()) count_ = catch_up(now);
    return {timer_.remaining(now), timer_.interval()};
  }

  /// read(2) with a good buffer. Takes the whole count and puts an expired periodic timer back in
  /// the wheel.
  constexpr timerfd_read read(nanoseconds now, reader how = reader::non_blocking) noexcept {
    if (how == reader::blocking && count_ == 0) return {status::again};
    if (take_cancellation()) {
      count_ = 0;
      // An expired periodic timer is not put back: whoever asked for cancellation sets it anew. One
      // that has not expired stays armed (F10).
      if (timer_.is_waiting()) timer_.abandon(timer_.interval());
      return {status::canceled};
    }
    if (count_ == 0) return {status::again};
    if (timer_.is_waiting()) count_ = catch_up(now);
    const std::uint64_t taken = std::exchange(count_, 0);
    // F13: a step back took the expiry away again after the reader was woken for it.
    if (taken == 0 && how == reader::non_blocking) return {status::again};
    return {status::ok, taken, timer_.scheduled()};
  }

  /// poll(2), epoll(7): whether a blocking read would not wait (F8).
  [[nodiscard]] constexpr bool readable() const noexcept { return count_ != 0; }

  /// ioctl(2) TFD_IOC_SET_TICKS (F12). \return invalid for 0; canceled where a read would have said
  /// so, which uses the cancellation up but leaves the descriptor readable (6.18).
  constexpr status set_ticks(std::uint64_t count) noexcept {
    if (count == 0) return status::invalid;
    if (take_cancellation()) return status::canceled;
    count_ = count;
    return status::ok;
  }

  /// The deadline is reached. \return whether to wake waiters: once, until the timer is read or
  /// asked (F16).
  constexpr bool expire(nanoseconds now) noexcept {
    if (!timer_.expire(now)) return false;
    ++count_;
    return true;
  }

  /// Somebody set the realtime clock, or the machine resumed from suspend (F10, F14). Expire what
  /// is due before the step first. An absolute deadline on the realtime base stands; what is due
  /// after the step is found as always. \return whether to wake waiters.
  constexpr bool clock_was_set() noexcept {
    if (!cancels_) return false;
    canceled_ = true;
    ++count_;
    return true;
  }

  /// The base to file the timer on (C2), and where it would be for another setting.
  [[nodiscard]] constexpr base filed_on() const noexcept { return base_; }
  [[nodiscard]] constexpr base filed_on(reference counted_from) const noexcept {
    return base_of(clock_, counted_from);
  }

  /// When to call `expire`; `rules::never` while there is nothing to wait for.
  [[nodiscard]] constexpr nanoseconds next_deadline() const noexcept {
    return timer_.next_deadline();
  }

  friend constexpr bool operator==(const timerfd_model&, const timerfd_model&) = default;

 private:
  constexpr bool can_cancel(const new_setting& next) const noexcept {
    return (clock_ == clock_kind::realtime || clock_ == clock_kind::realtime_alarm) &&
           next.is_absolute() && next.on_clock_set == chime::on_clock_set::cancel;
  }

  /// F5: the interval is kept. An alarm clock's deadline is, too, and gettime goes on counting down
  /// to it (6.18: alarm_init() in kernel/time/alarmtimer.c leaves the old one).
  constexpr void disarm(nanoseconds interval) noexcept {
    if (clock_ == clock_kind::realtime_alarm || clock_ == clock_kind::boottime_alarm) {
      timer_.abandon(interval);
    } else {
      timer_.disarm(interval);
    }
  }

  /// True once for each time the clock was set. A setting without both flags hides a cancellation
  /// that nobody read, it does not forget it: the next one with both flags reports it (6.18).
  constexpr bool take_cancellation() noexcept {
    return cancels_ && std::exchange(canceled_, false);
  }

  /// The count with all that passed while the timer waited; it goes back in the wheel.
  constexpr std::uint64_t catch_up(nanoseconds now) noexcept {
    // expire() has counted one of them. Zero passed if the clock stepped back: then none is left of
    // it.
    const std::uint64_t count = count_ + timer_.forward(now) - 1;
    timer_.rearm();
    return count;
  }

  armed_timer timer_;
  std::uint64_t count_ = 0;
  clock_kind clock_;
  base base_;
  bool cancels_ = false;   ///< the setting asks to be told when the clock is set
  bool canceled_ = false;  ///< it was set, and nobody has been told
};

}  // namespace chime::engine
