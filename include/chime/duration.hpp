// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The one place where times change their form: chrono durations, timespec, timeval.
///
/// - A duration that is no whole number of the target's units rounds *up*: a tiny positive duration
///   never becomes zero, which would disarm the timer, and no timer expires early.
/// - What does not fit saturates: a huge timeout means "never", it does not wrap into the past.
/// - What is no time at all (a NaN, a timespec whose nanoseconds are out of range) is refused.
/// - Zero stays zero: as a timer's value it disarms. Negative stays negative: as a timer's value it
///   is invalid (EINVAL); as an absolute time it lies before the epoch and is invalid too.

#include <chime/rules.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <ratio>
#include <type_traits>

namespace chime {

using std::chrono::nanoseconds;

namespace duration_detail {

/// ceil(ticks * num / den) as nanoseconds, saturated. The ticks come as sign and magnitude.
constexpr nanoseconds scale_up(bool negative, std::uint64_t ticks, std::uint64_t num,
                               std::uint64_t den) noexcept {
  constexpr auto max = static_cast<std::uint64_t>(nanoseconds::max().count());
  const nanoseconds end = negative ? nanoseconds::min() : nanoseconds::max();
  // ticks = q * den + r: q * num whole nanoseconds, and r * num / den that are rounded.
  const std::uint64_t q = ticks / den;
  const std::uint64_t r = ticks % den;
  if (q > max / num) return end;
  const std::uint64_t product = r * num;
  const bool round_up = !negative && product % den != 0;  // up is toward zero where negative
  const std::uint64_t rest = product / den + (round_up ? 1 : 0);
  if (rest > max - q * num) return end;
  const auto magnitude = static_cast<std::int64_t>(q * num + rest);
  return nanoseconds{negative ? -magnitude : magnitude};
}

/// The upper 64 bits of a product; `low` becomes the others.
constexpr std::uint64_t multiply(std::uint64_t a, std::uint64_t b, std::uint64_t& low) noexcept {
  constexpr std::uint64_t half = 0xffff'ffff;
  const std::uint64_t ll = (a & half) * (b & half);
  const std::uint64_t middle = (a >> 32) * (b & half) + (ll >> 32);
  const std::uint64_t lh = (a & half) * (b >> 32) + (middle & half);
  low = lh << 32 | (ll & half);
  return (a >> 32) * (b >> 32) + (middle >> 32) + (lh >> 32);
}

/// ceil(ticks * num / den) as nanoseconds, saturated, of ticks that are a floating-point number. To
/// the nanosecond, however few bits that type has: it is only taken apart, which is exact, and
/// integers do the rest. \pre not a NaN
template <class Real>
constexpr nanoseconds scale_up(Real ticks, std::uint64_t num, std::uint64_t den) noexcept {
  constexpr Real two_to_32 = 4294967296;
  constexpr Real two_to_64 = two_to_32 * two_to_32;
  const bool negative = ticks < 0;
  const nanoseconds end = negative ? nanoseconds::min() : nanoseconds::max();
  const Real magnitude = negative ? -ticks : ticks;
  if (magnitude / two_to_64 >= static_cast<Real>(den) / static_cast<Real>(num)) return end;

  if (magnitude >= two_to_64 / 2) {
    // Ticks shorter than a nanosecond, and a whole number of them: in two digits of base 2^32.
    const auto high = static_cast<std::uint64_t>(magnitude / two_to_32);
    const auto low = static_cast<std::uint64_t>(magnitude - static_cast<Real>(high) * two_to_32);
    const std::uint64_t rest = (high * num % den << 32) + low * num;
    const std::uint64_t whole = (high * num / den << 32) + rest / den;
    return scale_up(negative, whole + (!negative && rest % den != 0 ? 1 : 0), 1, 1);
  }

  const auto whole = static_cast<std::uint64_t>(magnitude);
  // The fraction, in 128 binary places; whatever has more than those is too small to carry.
  const Real places = (magnitude - static_cast<Real>(whole)) * two_to_64;
  const auto upper = static_cast<std::uint64_t>(places);
  const Real more_places = (places - static_cast<Real>(upper)) * two_to_64;
  const auto lower = static_cast<std::uint64_t>(more_places);
  std::uint64_t upper_low = 0;
  std::uint64_t lower_low = 0;
  const std::uint64_t carried = multiply(lower, num, lower_low);
  std::uint64_t nanos = multiply(upper, num, upper_low);
  const std::uint64_t below = upper_low + carried;
  if (below < carried) ++nanos;
  const bool has_rest = below != 0 || lower_low != 0 || more_places != static_cast<Real>(lower);

  // whole * num / den, and with its remainder the nanoseconds of the fraction.
  const nanoseconds base = scale_up(true, whole, num, den);  // toward zero
  const std::uint64_t rest = whole % den * num % den + nanos;
  const auto add =
      static_cast<std::int64_t>(rest / den + (!negative && (rest % den != 0 || has_rest) ? 1 : 0));
  if (base == nanoseconds::min()) return end;
  return negative ? rules::saturating_add(base, nanoseconds{-add})
                  : rules::saturating_add(-base, nanoseconds{add});
}

/// Whole seconds and a fraction below one second.
constexpr nanoseconds from_seconds(std::int64_t seconds, nanoseconds fraction) noexcept {
  if (seconds >= rules::endless.count()) return rules::never;
  return nanoseconds{seconds * 1'000'000'000} + fraction;
}

/// Seconds and a fraction in [0, 1 s) that add up to `d`: a negative span has negative seconds.
struct seconds_and_fraction {
  std::int64_t seconds;
  std::int64_t nanos;
};
constexpr seconds_and_fraction split(nanoseconds d) noexcept {
  std::int64_t seconds = d.count() / 1'000'000'000;
  std::int64_t nanos = d.count() % 1'000'000'000;
  if (nanos < 0) {
    seconds -= 1;
    nanos += 1'000'000'000;
  }
  return {seconds, nanos};
}

}  // namespace duration_detail

/// Any chrono duration as nanoseconds: rounded up, saturated. A NaN has no answer.
template <class Rep, class Period>
[[nodiscard]] constexpr std::optional<nanoseconds> to_nanoseconds(
    std::chrono::duration<Rep, Period> d) {
  using per_nano = std::ratio_divide<Period, std::nano>;
  if constexpr (std::is_floating_point_v<Rep>) {
    if (d.count() != d.count()) return std::nullopt;
    static_assert(per_nano::num <= std::numeric_limits<std::intmax_t>::max() / per_nano::den &&
                      per_nano::den < std::intmax_t{1} << 31,
                  "a period so odd that its ticks cannot be converted in 64 bits");
    using real = std::conditional_t<std::is_same_v<Rep, long double>, long double, double>;
    return duration_detail::scale_up(static_cast<real>(d.count()), per_nano::num, per_nano::den);
  } else {
    static_assert(std::is_integral_v<Rep> && sizeof(Rep) <= sizeof(std::uint64_t),
                  "a duration counts in integers of up to 64 bits or floating-point numbers");
    static_assert(per_nano::num <= std::numeric_limits<std::intmax_t>::max() / per_nano::den,
                  "a period so odd that its ticks cannot be converted in 64 bits");
    const bool negative = d.count() < Rep{0};
    const auto ticks = static_cast<std::uint64_t>(d.count());
    return duration_detail::scale_up(negative, negative ? 0 - ticks : ticks, per_nano::num,
                                     per_nano::den);
  }
}

/// Nanoseconds as a timespec (any type with tv_sec and tv_nsec). Exact; a negative span has a
/// negative tv_sec and a tv_nsec within range, so that the kernel refuses it for its sign.
template <class Timespec>
[[nodiscard]] constexpr Timespec to_timespec(nanoseconds d) noexcept {
  auto [sec, nsec] = duration_detail::split(d);
  Timespec result{};
  result.tv_sec = static_cast<decltype(result.tv_sec)>(sec);
  result.tv_nsec = static_cast<decltype(result.tv_nsec)>(nsec);
  return result;
}

/// A timespec as nanoseconds, saturated. None where a timer would refuse it: negative seconds, or
/// nanoseconds outside [0, 999999999].
template <class Timespec>
[[nodiscard]] constexpr std::optional<nanoseconds> from_timespec(const Timespec& t) noexcept {
  if (!rules::is_valid_timespec(t.tv_sec, t.tv_nsec)) return std::nullopt;
  return duration_detail::from_seconds(t.tv_sec, nanoseconds{t.tv_nsec});
}

/// Nanoseconds as a timeval (any type with tv_sec and tv_usec), rounded up to microseconds.
template <class Timeval>
[[nodiscard]] constexpr Timeval to_timeval(nanoseconds d) noexcept {
  auto [sec, nsec] = duration_detail::split(d);
  std::int64_t usec = nsec / 1000 + (nsec % 1000 != 0 ? 1 : 0);
  if (usec == 1'000'000) {
    sec += 1;
    usec = 0;
  }
  Timeval result{};
  result.tv_sec = static_cast<decltype(result.tv_sec)>(sec);
  result.tv_usec = static_cast<decltype(result.tv_usec)>(usec);
  return result;
}

/// A timeval as nanoseconds, saturated. None where a timer would refuse it.
template <class Timeval>
[[nodiscard]] constexpr std::optional<nanoseconds> from_timeval(const Timeval& t) noexcept {
  if (!rules::is_valid_timeval(t.tv_sec, t.tv_usec)) return std::nullopt;
  return duration_detail::from_seconds(t.tv_sec, nanoseconds{std::int64_t{t.tv_usec} * 1000});
}

}  // namespace chime
