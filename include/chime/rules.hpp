// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The arithmetic of expiry, shared by every timer whoever keeps it. Pure functions of their
/// arguments: no state, no clock, usable at compile time.
///
/// Instants and spans are signed 64-bit nanoseconds, an instant being the time since its clock's
/// epoch. Sums saturate at `never`; nothing wraps.
///
///     first            first+I          first+2I         first+3I
///       |                |                |                |
///     --+----------------+----------------+----------------+------> the timer's clock
///                                             ^ now
///     forward(first, I, now) = 3 expirations, next deadline first+3I
///
/// The kernel's counterpart is hrtimer_forward() in kernel/time/hrtimer.c.

#include <chrono>
#include <cstdint>
#include <limits>

namespace chime::rules {

using std::chrono::nanoseconds;

/// The end of time. A deadline here never fires (KTIME_MAX in the kernel).
inline constexpr nanoseconds never = nanoseconds::max();

/// Spans of so many seconds and more, whatever the fraction, are without end (KTIME_SEC_MAX).
inline constexpr std::chrono::seconds endless{never.count() / 1'000'000'000};

/// A span as it is timed and read back.
constexpr nanoseconds as_timed(nanoseconds span) noexcept { return span >= endless ? never : span; }

/// The largest overrun that is reported; more saturates (DELAYTIMER_MAX, POSIX timer_getoverrun).
inline constexpr int overrun_max = 2147483647;

/// `a + b`, held at `never` or at its negative counterpart instead of wrapping.
constexpr nanoseconds saturating_add(nanoseconds a, nanoseconds b) noexcept {
  using limits = std::numeric_limits<std::int64_t>;
  const std::int64_t x = a.count();
  const std::int64_t y = b.count();
  if (y > 0 && x > limits::max() - y) return nanoseconds::max();
  if (y < 0 && x < limits::min() - y) return nanoseconds::min();
  return nanoseconds{x + y};
}

/// `start + n * interval`, held at `never`. \pre interval >= 0.
constexpr nanoseconds saturating_advance(nanoseconds start, nanoseconds interval,
                                         std::uint64_t n) noexcept {
  if (interval == nanoseconds::zero() || n == 0) return start;
  const auto room =
      static_cast<std::uint64_t>(never.count()) - static_cast<std::uint64_t>(start.count());
  const auto step = static_cast<std::uint64_t>(interval.count());
  if (n == 1 ? step > room : n > room / step) return never;  // mostly without the division
  return nanoseconds{
      static_cast<std::int64_t>(static_cast<std::uint64_t>(start.count()) + n * step)};
}

/// Whether a timer with this deadline has expired at `now`.
constexpr bool is_due(nanoseconds deadline, nanoseconds now) noexcept {
  return now >= deadline && deadline != never;
}

/// The deadline of a timer set at `now` to expire after `value`.
constexpr nanoseconds deadline_after(nanoseconds now, nanoseconds value) noexcept {
  return saturating_add(now, value);
}

/// Time left until `deadline`; zero once it is due.
constexpr nanoseconds remaining(nanoseconds deadline, nanoseconds now) noexcept {
  if (now >= deadline) return nanoseconds::zero();
  // now < deadline: the difference cannot underflow, but it overflows if `now` lies before the
  // epoch.
  if (now < nanoseconds::zero() && deadline > never + now) return never;
  return deadline - now;
}

/// What became of a timer that was looked at.
struct forwarded {
  std::uint64_t expirations;  ///< how many times it expired up to and including `now`
  nanoseconds deadline;       ///< the next deadline; meaningful while `armed`
  bool armed;                 ///< false once a one-shot timer has expired

  friend constexpr bool operator==(const forwarded&, const forwarded&) = default;
};

/// Carries a timer forward to `now`: counts its expirations and finds the first deadline after
/// `now`.
/// \param deadline the next deadline; the timer is armed
/// \param interval the reload; zero for a one-shot timer. \pre interval >= 0
constexpr forwarded forward(nanoseconds deadline, nanoseconds interval, nanoseconds now) noexcept {
  if (!is_due(deadline, now)) return {0, deadline, true};
  if (interval == nanoseconds::zero()) return {1, deadline, false};
  // The difference is taken without sign: it fits even where the signed one would overflow.
  const auto late =
      static_cast<std::uint64_t>(now.count()) - static_cast<std::uint64_t>(deadline.count());
  const auto step = static_cast<std::uint64_t>(interval.count());
  const std::uint64_t whole = late < step ? 0 : late / step;  // mostly without the division
  const std::uint64_t n = whole + (whole != std::numeric_limits<std::uint64_t>::max() ? 1 : 0);
  return {n, whole == n ? never : saturating_advance(deadline, interval, n), true};
}

/// How many times a timer armed once, with its first deadline at `first`, has expired by `now`.
/// Whatever was reported of it plus whatever is pending equals this, at every instant.
constexpr std::uint64_t expirations_by(nanoseconds first, nanoseconds interval,
                                       nanoseconds now) noexcept {
  return forward(first, interval, now).expirations;
}

/// The expirations beyond the first, saturated at `overrun_max`.
constexpr int overrun_of(std::uint64_t expirations) noexcept {
  if (expirations <= 1) return 0;
  const std::uint64_t extra = expirations - 1;
  return extra > static_cast<std::uint64_t>(overrun_max) ? overrun_max : static_cast<int>(extra);
}

/// Whether the seconds and the fraction of a timespec are a time that a timer takes (EINVAL where
/// not).
constexpr bool is_valid_timespec(std::int64_t seconds, std::int64_t nanos) noexcept {
  return seconds >= 0 && nanos >= 0 && nanos <= 999'999'999;
}

/// The same for a timeval.
constexpr bool is_valid_timeval(std::int64_t seconds, std::int64_t micros) noexcept {
  return seconds >= 0 && micros >= 0 && micros <= 999'999;
}

/// Whether a value and an interval are times that a timer takes: neither is negative.
constexpr bool is_valid(nanoseconds value, nanoseconds interval) noexcept {
  return value >= nanoseconds::zero() && interval >= nanoseconds::zero();
}

/// What getitimer says of a time left: whole microseconds, the rest dropped (I2).
constexpr nanoseconds whole_micros(nanoseconds left) noexcept {
  return std::chrono::floor<std::chrono::microseconds>(left);
}

/// What alarm says of it: seconds rounded to nearest, halves up, never 0 while any time is left
/// (I8). More than an unsigned holds wraps, as it does in the kernel.
constexpr unsigned alarm_seconds(nanoseconds left) noexcept {
  using std::chrono::seconds;
  const seconds whole = std::chrono::floor<seconds>(left);
  const nanoseconds fraction = left - whole;
  const bool rounds_up = whole == seconds::zero() ? fraction > nanoseconds::zero()
                                                  : fraction >= std::chrono::milliseconds{500};
  return static_cast<unsigned>(whole.count() + (rounds_up ? 1 : 0));
}

}  // namespace chime::rules
