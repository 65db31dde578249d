// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/duration.hpp>

#include <support/int128.hpp>
#include <support/seed.hpp>

#include <doctest/doctest.h>

#include <sys/time.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <random>
#include <ratio>

using chime::from_timespec;
using chime::from_timeval;
using chime::nanoseconds;
using chime::to_nanoseconds;
using chime::to_timespec;
using chime::to_timeval;
using support::pick;
using namespace std::chrono_literals;

namespace {

template <class Rep, class Period = std::ratio<1>>
using ticks = std::chrono::duration<Rep, Period>;
using third = std::ratio<1, 3>;
using picoseconds = ticks<std::int64_t, std::pico>;

constexpr auto never = nanoseconds::max();
constexpr auto beginning = nanoseconds::min();
using real = std::numeric_limits<double>;

// Whole numbers of nanoseconds are exact.
static_assert(to_nanoseconds(0s) == 0ns && to_nanoseconds(7ns) == 7ns &&
              to_nanoseconds(3min) == 180s);
static_assert(to_nanoseconds(-3min) == -180s && to_nanoseconds(never) == never);
static_assert(to_nanoseconds(beginning) == beginning && to_nanoseconds(picoseconds{5000}) == 5ns);
static_assert(to_nanoseconds(ticks<int, third>{3}) == 1s &&
              to_nanoseconds(ticks<std::int8_t>{-128}) == -128s);
static_assert(to_nanoseconds(std::chrono::years{1}) == 31'556'952s);

// W6: the rest rounds up, so that a positive duration never becomes zero.
static_assert(to_nanoseconds(picoseconds{1}) == 1ns && to_nanoseconds(picoseconds{1001}) == 2ns);
static_assert(to_nanoseconds(ticks<int, std::atto>{1}) == 1ns);
static_assert(to_nanoseconds(ticks<int, third>{1}) == 333'333'334ns);
static_assert(to_nanoseconds(ticks<int, third>{2}) == 666'666'667ns);
static_assert(to_nanoseconds(picoseconds{-1}) == 0ns && to_nanoseconds(picoseconds{-1001}) == -1ns);
static_assert(to_nanoseconds(ticks<int, third>{-1}) == -333'333'333ns);

// E8: what does not fit saturates.
static_assert(to_nanoseconds(std::chrono::hours::max()) == never);
static_assert(to_nanoseconds(std::chrono::hours::min()) == beginning);
static_assert(to_nanoseconds(9'223'372'036s) == 9'223'372'036s &&
              to_nanoseconds(9'223'372'037s) == never);
static_assert(to_nanoseconds(-9'223'372'036s) == -9'223'372'036s);
static_assert(to_nanoseconds(-9'223'372'037s) == beginning);
static_assert(to_nanoseconds(picoseconds::max()) == 9'223'372'036'854'776ns);
static_assert(to_nanoseconds(picoseconds::min()) == -9'223'372'036'854'775ns);

// 64 bits without sign.
static_assert(to_nanoseconds(ticks<std::uint64_t, std::nano>{INT64_MAX}) == never);
static_assert(to_nanoseconds(ticks<std::uint64_t, std::nano>{INT64_MAX - 1ULL}) == never - 1ns);
static_assert(to_nanoseconds(ticks<std::uint64_t, std::nano>{INT64_MAX + 1ULL}) == never);
static_assert(to_nanoseconds(ticks<std::uint64_t, std::nano>::max()) == never);
static_assert(to_nanoseconds(ticks<std::uint64_t>{5}) == 5s &&
              to_nanoseconds(ticks<std::uint64_t>::max()) == never);
static_assert(to_nanoseconds(ticks<std::uint64_t, std::pico>{1ULL << 63}) ==
              9'223'372'036'854'776ns);

// Floating point: exact where it is, up where it is not, held at the ends.
static_assert(to_nanoseconds(ticks<double>{0.0}) == 0ns &&
              to_nanoseconds(ticks<double>{-0.0}) == 0ns);
static_assert(to_nanoseconds(ticks<double>{1.5}) == 1'500ms &&
              to_nanoseconds(ticks<float>{-0.25f}) == -250ms);
static_assert(to_nanoseconds(ticks<double, std::nano>{0.001}) == 1ns);
static_assert(to_nanoseconds(ticks<double, std::nano>{41.001}) == 42ns);
static_assert(to_nanoseconds(ticks<double, std::nano>{-41.999}) == -41ns);
static_assert(to_nanoseconds(ticks<float, std::nano>{0.5f}) == 1ns &&
              to_nanoseconds(ticks<double>{real::min()}) == 1ns);
static_assert(to_nanoseconds(ticks<double>{real::denorm_min()}) == 1ns);
static_assert(to_nanoseconds(ticks<long double, std::milli>{0.5L}) == 500us);
static_assert(to_nanoseconds(ticks<double>{1e300}) == never &&
              to_nanoseconds(ticks<double>{-1e300}) == beginning);
static_assert(to_nanoseconds(ticks<double, std::nano>{0x1p63}) == never);
static_assert(to_nanoseconds(ticks<double, std::nano>{0x1.fffffffffffffp62}) == never - 1023ns);
static_assert(to_nanoseconds(ticks<double, std::nano>{-0x1p63}) == beginning);
static_assert(to_nanoseconds(ticks<float>{std::numeric_limits<float>::infinity()}) == never);
static_assert(to_nanoseconds(ticks<double>{-real::infinity()}) == beginning);
static_assert(!to_nanoseconds(ticks<double>{real::quiet_NaN()}));
static_assert(!to_nanoseconds(ticks<float>{std::numeric_limits<float>::quiet_NaN()}));

// What the kernel and the C library have on some machine or other.
struct timespec64 {
  std::int64_t tv_sec;
  std::int64_t tv_nsec;
  friend bool operator==(const timespec64&, const timespec64&) = default;
};
struct timeval64 {
  std::int64_t tv_sec;
  std::int64_t tv_usec;
  friend bool operator==(const timeval64&, const timeval64&) = default;
};

static_assert(to_timespec<timespec64>(1'500ms) == timespec64{1, 500'000'000});
static_assert(to_timespec<timespec64>(0ns) == timespec64{0, 0} &&
              to_timespec<timespec64>(1ns) == timespec64{0, 1});
static_assert(to_timespec<timespec64>(-1ns) ==
              timespec64{-1, 999'999'999});  // refused for its sign
static_assert(to_timespec<timespec64>(-1s) == timespec64{-1, 0});
static_assert(to_timespec<timespec64>(never) == timespec64{9'223'372'036, 854'775'807});
static_assert(to_timespec<timespec64>(beginning) == timespec64{-9'223'372'037, 145'224'192});

static_assert(to_timeval<timeval64>(1'500ms) == timeval64{1, 500'000} &&
              to_timeval<timeval64>(0ns) == timeval64{0, 0});
static_assert(to_timeval<timeval64>(1ns) == timeval64{0, 1} &&
              to_timeval<timeval64>(1001ns) == timeval64{0, 2});
static_assert(to_timeval<timeval64>(1s - 1ns) == timeval64{1, 0});
static_assert(to_timeval<timeval64>(-1ns) == timeval64{0, 0} &&
              to_timeval<timeval64>(-1us) == timeval64{-1, 999'999});
static_assert(to_timeval<timeval64>(never) == timeval64{9'223'372'036, 854'776});

static_assert(from_timespec(timespec64{1, 500'000'000}) == 1'500ms &&
              from_timespec(timespec64{0, 0}) == 0ns);
static_assert(from_timeval(timeval64{1, 500'000}) == 1'500ms &&
              from_timeval(timeval64{0, 999'999}) == 999'999us);

// E8: as the kernel, from 9223372036 s on (KTIME_SEC_MAX), whatever the fraction.
static_assert(from_timespec(timespec64{9'223'372'035, 999'999'999}) == 9'223'372'036s - 1ns);
static_assert(from_timespec(timespec64{9'223'372'036, 0}) == never);
static_assert(from_timespec(timespec64{INT64_MAX, 999'999'999}) == never);
static_assert(from_timeval(timeval64{9'223'372'035, 999'999}) == 9'223'372'036s - 1us);
static_assert(from_timeval(timeval64{9'223'372'036, 0}) == never &&
              from_timeval(timeval64{INT64_MAX, 0}) == never);

// E9: no times at all.
static_assert(!from_timespec(timespec64{-1, 0}) && !from_timespec(timespec64{INT64_MIN, 0}));
static_assert(!from_timespec(timespec64{0, -1}) && !from_timespec(timespec64{0, 1'000'000'000}));
static_assert(!from_timeval(timeval64{-1, 0}) && !from_timeval(timeval64{0, -1}));
static_assert(!from_timeval(timeval64{0, 1'000'000}) && !from_timeval(timeval64{0, INT64_MAX}));

}  // namespace

TEST_CASE("the C library's own types convert both ways") {
  const auto spec = to_timespec<::timespec>(2'000'000'001ns);
  CHECK_EQ(spec.tv_sec, 2);
  CHECK_EQ(spec.tv_nsec, 1);
  CHECK_EQ(from_timespec(spec), 2'000'000'001ns);
  const auto val = to_timeval<::timeval>(2'000'000'001ns);
  CHECK_EQ(val.tv_sec, 2);
  CHECK_EQ(val.tv_usec, 1);
  CHECK_EQ(from_timeval(val), 2'000'001us);
}

namespace {

using support::int128;
using support::saturated;

/// Any number of ticks, as often as not near an end, near zero, or a little past what fits in nanoseconds.
template <class Rep>
Rep random_ticks(std::mt19937_64& random, std::int64_t just_fits) {
  using limits = std::numeric_limits<Rep>;
  using wide = std::conditional_t<std::is_signed_v<Rep>, std::int64_t, std::uint64_t>;
  const int off = pick(random, -3, 3);
  switch (pick(random, 0, 5)) {
    case 0: return static_cast<Rep>(limits::max() - static_cast<Rep>(off + 3));
    case 1: return static_cast<Rep>(limits::min() + static_cast<Rep>(off + 3));
    case 2: return static_cast<Rep>(off);
    case 3: return static_cast<Rep>(just_fits + off);
    case 4: return static_cast<Rep>(static_cast<Rep>(-1) < 0 ? -just_fits + off : just_fits + off);
    default: return static_cast<Rep>(pick<wide>(random, limits::min(), limits::max()));
  }
}

template <class Rep, class Period>
void agrees_with_128_bits(std::mt19937_64& random) {
  using per_nano = std::ratio_divide<Period, std::nano>;
  constexpr int128 fits = int128{INT64_MAX} * per_nano::den / per_nano::num;
  for (int run = 0; run < 1000; ++run) {
    const Rep count = random_ticks<Rep>(
        random, fits > INT64_MAX - 3 ? INT64_MAX - 3 : static_cast<std::int64_t>(fits));
    CAPTURE(count);
    CAPTURE(per_nano::num);
    CAPTURE(per_nano::den);
    REQUIRE_EQ(
        to_nanoseconds(ticks<Rep, Period>{count}),
        saturated(support::ceil_div(static_cast<int128>(count) * per_nano::num, per_nano::den)));
  }
}

template <class Period>
void agrees_with_128_bits_in_any_rep(std::mt19937_64& random) {
  agrees_with_128_bits<std::int64_t, Period>(random);
  agrees_with_128_bits<std::uint64_t, Period>(random);
  agrees_with_128_bits<std::int32_t, Period>(random);
  agrees_with_128_bits<std::uint32_t, Period>(random);
}

template <class... Periods>
void agrees_with_128_bits_in_each(std::mt19937_64& random) {
  (agrees_with_128_bits_in_any_rep<Periods>(random), ...);
}

/// mantissa / 2^shift ticks, which is exact in `Rep`, against the same in integers.
template <class Rep, class Period>
void in_floating_point_agrees(std::mt19937_64& random, int bits) {
  using per_nano = std::ratio_divide<Period, std::nano>;
  const auto most = static_cast<std::int64_t>((std::uint64_t{1} << bits) - 1);
  const auto mantissa = pick<std::int64_t>(random, -most, most);
  const int shift = pick(random, 0, 62);
  CAPTURE(mantissa);
  CAPTURE(shift);
  const Rep value = std::ldexp(static_cast<Rep>(mantissa), -shift);
  // 126 bits are enough for the product: 63 of the mantissa, 42 of an hour's nanoseconds.
  REQUIRE_EQ(to_nanoseconds(ticks<Rep, Period>{value}),
             saturated(support::ceil_div(
                 int128{mantissa} * per_nano::num,
                 int128{per_nano::den} * static_cast<std::int64_t>(std::uint64_t{1} << shift))));
}

/// Any nanoseconds, as often as not around whole seconds.
nanoseconds random_nanoseconds(std::mt19937_64& random) {
  const nanoseconds any{pick<std::int64_t>(random, INT64_MIN / 2, INT64_MAX / 2)};
  if (pick(random, 0, 1) == 0) return any;
  return std::chrono::floor<std::chrono::seconds>(any) + nanoseconds{pick(random, -1001, 1001)};
}

}  // namespace

TEST_CASE("W6, E8: durations of any integers and any period round up and saturate as 128 bits do") {
  auto random = support::seeded("durations");
  agrees_with_128_bits_in_each<std::nano, std::micro, std::milli, std::ratio<1>, std::ratio<60>,
                               std::ratio<3600>, std::chrono::years::period, std::giga>(random);
  agrees_with_128_bits_in_each<std::pico, std::femto, std::atto>(random);
  agrees_with_128_bits_in_each<third, std::ratio<1, 3'000'000'000>, std::ratio<2, 3'000'000'000>,
                               std::ratio<1, 1024>, std::ratio<1001, 30000>,
                               std::ratio<7, 1'000'000'007>>(random);
}

TEST_CASE("durations in floating point round up to the nanosecond, in any period") {
  auto random = support::seeded("floating point");
  for (int run = 0; run < 10'000; ++run) {
    in_floating_point_agrees<double, std::ratio<1>>(random, 31);
    in_floating_point_agrees<double, std::ratio<1>>(random, 53);
    in_floating_point_agrees<double, std::ratio<3600>>(random, 53);
    in_floating_point_agrees<double, std::milli>(random, 53);
    in_floating_point_agrees<double, std::pico>(random, 53);
    in_floating_point_agrees<double, std::ratio<1, 1024>>(random, 53);
    in_floating_point_agrees<double, std::ratio<1001, 30000>>(random, 53);
    in_floating_point_agrees<float, std::ratio<1>>(random, 24);
    in_floating_point_agrees<long double, std::ratio<1>>(
        random, std::min(63, std::numeric_limits<long double>::digits));
  }
}

TEST_CASE(
    "durations in floating point of ticks shorter than a nanosecond, more than 64 bits hold") {
  CHECK_EQ(to_nanoseconds(ticks<double, std::pico>{1e20}), 100'000'000s);
  CHECK_EQ(to_nanoseconds(ticks<double, std::pico>{-1e20}), -100'000'000s);
  CHECK_EQ(to_nanoseconds(ticks<double, std::pico>{0x1p72}), 4'722'366'482'869'645'214ns);
  CHECK_EQ(to_nanoseconds(ticks<double, std::pico>{0x1p73}), never);
}

TEST_CASE("timespec and timeval hold what 128 bits hold, and come back") {
  auto random = support::seeded("timespec and timeval");
  for (int run = 0; run < 10'000; ++run) {
    const nanoseconds any = random_nanoseconds(random);
    CAPTURE(any.count());

    const auto spec = to_timespec<timespec64>(any);
    REQUIRE((spec.tv_nsec >= 0 && spec.tv_nsec < 1'000'000'000));
    REQUIRE_EQ(saturated(int128{spec.tv_sec} * 1'000'000'000 + spec.tv_nsec), any);

    const auto val = to_timeval<timeval64>(any);
    REQUIRE((val.tv_usec >= 0 && val.tv_usec < 1'000'000));
    const auto micros = std::chrono::ceil<std::chrono::microseconds>(any);
    REQUIRE_EQ(saturated(int128{val.tv_sec} * 1'000'000 + val.tv_usec).count(), micros.count());

    REQUIRE_EQ(from_timespec(spec), any >= 0ns ? std::optional{any} : std::nullopt);
    REQUIRE_EQ(from_timeval(val),
               micros >= 0us ? std::optional<nanoseconds>{micros} : std::nullopt);
  }
}
