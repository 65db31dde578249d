// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The interval timers as values: rules I. See setitimer(2), alarm(2); the kernel's are
/// kernel/time/itimer.c and, for the CPU ones, kernel/time/posix-cpu-timers.c.
///
/// How they are driven. `now` is always the time on `filed_on()`. Look for `next_deadline()` after
/// every call that is not const; when it is reached, call `expire(now)` before anything else. If
/// that returns true, raise the timer's signal, one for all while it is pending. When the process
/// accepts it, call `accept(now)`. Nothing withdraws a signal once raised (I6).

#include <chime/engine/armed_timer.hpp>
#include <chime/engine/base.hpp>
#include <chime/engine/timer_spec.hpp>
#include <chime/rules.hpp>

#include <cstdint>
#include <utility>

namespace chime::engine {

/// What an accepted signal stands for. The kernel does not say; the library does.
struct itimer_acceptance {
  std::uint64_t expirations = 0;  ///< 0: the signal was not this timer's
  nanoseconds scheduled{};        ///< when the last of them was due, on `filed_on()`

  friend constexpr bool operator==(const itimer_acceptance&, const itimer_acceptance&) = default;
};

/// ITIMER_REAL, and alarm, which is the same timer (I1).
class real_itimer_model {
 public:
  /// setitimer(2). A missing new value is a zero one (I9). \return invalid: nothing changed.
  constexpr set_result settime(const timer_spec& next, nanoseconds now) noexcept {
    if (!rules::is_valid(next.value, next.interval)) return {status::invalid, {}};
    const timer_spec old = gettime(now);
    if (next.value == nanoseconds::zero()) {
      timer_.disarm(nanoseconds::zero());  // I3: the interval goes too
    } else {
      timer_.arm(rules::deadline_after(now, next.value), next.interval);
    }
    return {status::ok, old};
  }

  /// getitimer(2), in whole microseconds. A timer whose signal is pending says 0 (I4).
  [[nodiscard]] constexpr timer_spec gettime(nanoseconds now) const noexcept {
    return {rules::whole_micros(left(now)), rules::whole_micros(timer_.interval())};
  }

  /// alarm(2). \return the seconds left of the earlier one (I8).
  constexpr unsigned alarm(unsigned seconds, nanoseconds now) noexcept {
    const unsigned old = rules::alarm_seconds(left(now));
    settime({std::chrono::seconds{seconds}, {}}, now);
    return old;
  }

  /// The deadline is reached. \return whether to raise SIGALRM.
  constexpr bool expire(nanoseconds now) noexcept {
    if (!timer_.expire(now)) return false;
    signal_pending_ = true;
    return true;
  }

  /// Whether the signal is raised and not accepted.
  [[nodiscard]] constexpr bool pending() const noexcept { return signal_pending_; }

  /// The process accepts a process-directed SIGALRM, whoever sent it: a periodic timer that has
  /// expired goes back in the wheel, in phase (I4).
  constexpr itimer_acceptance accept(nanoseconds now) noexcept {
    const bool ours = std::exchange(signal_pending_, false);
    if (!timer_.is_waiting()) return {ours ? 1u : 0u, timer_.scheduled()};
    const std::uint64_t passed = timer_.forward(now);
    timer_.rearm();
    return {passed, timer_.scheduled()};
  }

  /// SIGALRM is discarded because it is ignored: nobody accepts it, so a periodic timer stops
  /// (I10), until some other SIGALRM is accepted (6.18).
  constexpr void ignored() noexcept { signal_pending_ = false; }

  [[nodiscard]] static constexpr base filed_on() noexcept { return base::monotonic; }
  [[nodiscard]] constexpr nanoseconds next_deadline() const noexcept {
    return timer_.next_deadline();
  }

  friend constexpr bool operator==(const real_itimer_model&, const real_itimer_model&) = default;

 private:
  constexpr nanoseconds left(nanoseconds now) const noexcept {
    if (!timer_.is_armed()) return nanoseconds::zero();
    const nanoseconds remaining = timer_.remaining(now);
    // Due, and not told so yet: 1 us, as 0 would say that it is off. (With less than 1 us to go
    // 6.18 does say 0: it truncates last.)
    return remaining == nanoseconds::zero() ? std::chrono::microseconds{1} : remaining;
  }

  armed_timer timer_;
  bool signal_pending_ = false;
};

/// ITIMER_VIRTUAL and ITIMER_PROF. Their clocks are looked at tick by tick, and the timer with them
/// (I5).
class cpu_itimer_model {
 public:
  /// \param cpu `base::user_cpu` for ITIMER_VIRTUAL, `base::process_cpu` for ITIMER_PROF
  /// \param tick how far apart the looks are; 4 ms where HZ is 250
  constexpr cpu_itimer_model(base cpu, nanoseconds tick) noexcept : tick_{tick}, cpu_{cpu} {}

  /// setitimer(2). \return invalid: nothing changed.
  constexpr set_result settime(const timer_spec& next, nanoseconds now) noexcept {
    if (!rules::is_valid(next.value, next.interval)) return {status::invalid, {}};
    const timer_spec old = gettime(now);
    if (untaken_ > 1) untaken_ = 1;  // one signal is pending, and stays so (I6)
    if (next.value == nanoseconds::zero()) {
      timer_.disarm(next.interval);  // I3: the interval is kept
    } else {
      // A tick more than asked for, so that a look that comes just before a tick does not cut it
      // short.
      timer_.arm(rules::deadline_after(rules::deadline_after(now, next.value), tick_),
                 next.interval);
    }
    return {status::ok, old};
  }

  /// getitimer(2), in whole microseconds. One that is due at the next look says one tick.
  [[nodiscard]] constexpr timer_spec gettime(nanoseconds now) const noexcept {
    const nanoseconds interval = rules::whole_micros(timer_.interval());
    if (!timer_.is_armed()) return {nanoseconds::zero(), interval};
    const nanoseconds left = timer_.remaining(now);
    return {rules::whole_micros(left == nanoseconds::zero() ? tick_ : left), interval};
  }

  /// One look at the clock; once a tick, even where the next deadline has passed already: it
  /// expires at most once, and a starved timer catches up look by look (I5). \return whether to
  /// raise the signal.
  constexpr bool expire(nanoseconds now) noexcept {
    if (!timer_.expire(now)) return false;
    if (timer_.is_waiting()) {
      timer_.step();
      timer_.rearm();
    }
    ++untaken_;
    return true;
  }

  /// Whether the signal is raised and not accepted.
  [[nodiscard]] constexpr bool pending() const noexcept { return untaken_ != 0; }

  /// The process accepts the signal: all expirations since the last one accepted.
  constexpr itimer_acceptance accept(nanoseconds /*now*/) noexcept {
    return {std::exchange(untaken_, 0), timer_.scheduled()};
  }

  /// The signal is discarded because it is ignored. The timer goes on.
  constexpr void ignored() noexcept { untaken_ = 0; }

  [[nodiscard]] constexpr base filed_on() const noexcept { return cpu_; }
  [[nodiscard]] constexpr nanoseconds next_deadline() const noexcept {
    return timer_.next_deadline();
  }

  friend constexpr bool operator==(const cpu_itimer_model&, const cpu_itimer_model&) = default;

 private:
  armed_timer timer_;
  std::uint64_t untaken_ = 0;
  nanoseconds tick_;
  base cpu_;
};

}  // namespace chime::engine
