// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/rules.hpp>

#include <support/int128.hpp>
#include <support/seed.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>

using namespace chime::rules;
using namespace std::chrono_literals;
using support::pick;

namespace {

constexpr auto beginning = nanoseconds::min();

// E1: due at the deadline, not a nanosecond before, and E8: at the end of time never.
static_assert(!is_due(10ns, 9ns) && is_due(10ns, 10ns) && is_due(10ns, 11ns));
static_assert(is_due(beginning, beginning) && is_due(never - 1ns, never - 1ns));
static_assert(!is_due(never, never - 1ns) && !is_due(never, never));

// E2: the k-th deadline is first + k * interval.
static_assert(saturating_advance(100ns, 7ns, 0) == 100ns &&
              saturating_advance(100ns, 7ns, 3) == 121ns);
static_assert(saturating_advance(100ns, 0ns, 3) == 100ns);
static_assert(saturating_advance(-5ns, 7ns, 1) == 2ns);

// E3: not yet, at the deadline, before and at the next one, long after; and once, however late.
static_assert(forward(10ns, 5ns, 9ns) == forwarded{0, 10ns, true});
static_assert(forward(10ns, 5ns, 10ns) == forwarded{1, 15ns, true});
static_assert(forward(10ns, 5ns, 14ns) == forwarded{1, 15ns, true});
static_assert(forward(10ns, 5ns, 15ns) == forwarded{2, 20ns, true});
static_assert(forward(10ns, 5ns, 1h).expirations == 1 + (3'600'000'000'000 - 10) / 5);
static_assert(forward(10ns, 0ns, 9ns) == forwarded{0, 10ns, true});
static_assert(forward(10ns, 0ns, 10ns).expirations == 1 && !forward(10ns, 0ns, 10ns).armed);
static_assert(forward(10ns, 0ns, never).expirations == 1 && !forward(10ns, 0ns, never).armed);

// E4: what expired by now follows from the first deadline alone.
static_assert(expirations_by(10ns, 5ns, 9ns) == 0 && expirations_by(10ns, 5ns, 21ns) == 3);

// E5: overrun is what expired beyond the first (saturated per P6).
static_assert(overrun_of(0) == 0 && overrun_of(1) == 0 && overrun_of(2) == 1);
static_assert(overrun_of(2147483647) == 2147483646 && overrun_of(2147483648) == 2147483647);
static_assert(overrun_of(2147483649) == 2147483647 && overrun_of(UINT64_MAX) == 2147483647);

// E7: an absolute deadline in the past has expired, with its count.
static_assert(forward(-1s, 0ns, 0ns).expirations == 1 &&
              forward(-1s, 1s, 0ns) == forwarded{2, 1s, true});

// E8: sums are held at the ends.
static_assert(saturating_add(never, 1ns) == never && saturating_add(1ns, never) == never);
static_assert(saturating_add(never - 1ns, 1ns) == never &&
              saturating_add(never - 2ns, 1ns) == never - 1ns);
static_assert(saturating_add(beginning, -1ns) == beginning &&
              saturating_add(beginning, beginning) == beginning);
static_assert(saturating_add(beginning, never) == -1ns && saturating_add(never, beginning) == -1ns);
static_assert(deadline_after(never - 5ns, 5ns) == never &&
              deadline_after(never - 5ns, 6ns) == never);
static_assert(deadline_after(3ns, 4ns) == 7ns && deadline_after(3ns, -4ns) == -1ns);
static_assert(saturating_advance(never - 9ns, 3ns, 2) == never - 3ns);
static_assert(saturating_advance(never - 9ns, 3ns, 3) == never &&
              saturating_advance(never - 9ns, 3ns, 4) == never);
static_assert(saturating_advance(beginning, 1ns, UINT64_MAX) == never);
static_assert(saturating_advance(0ns, never, UINT64_MAX) == never &&
              saturating_advance(0ns, 1ns, 5) == 5ns);
static_assert(forward(never, 5ns, never) == forwarded{0, never, true});
static_assert(forward(never - 1ns, 5ns, never - 1ns) == forwarded{1, never, true});
static_assert(remaining(10ns, 4ns) == 6ns && remaining(10ns, 9ns) == 1ns);
static_assert(remaining(10ns, 10ns) == 0ns && remaining(10ns, 11ns) == 0ns);
static_assert(remaining(never, -1ns) == never && remaining(never - 1ns, -1ns) == never);
static_assert(remaining(never, 0ns) == never && remaining(never, beginning) == never);
static_assert(remaining(0ns, beginning) == never && remaining(-1ns, beginning) == never);
static_assert(remaining(-2ns, beginning) == never - 1ns && remaining(beginning, beginning) == 0ns);

// E9: what no timer takes.
static_assert(is_valid_timespec(0, 0) && is_valid_timespec(INT64_MAX, 999'999'999));
static_assert(!is_valid_timespec(-1, 0) && !is_valid_timespec(0, -1) &&
              !is_valid_timespec(0, 1'000'000'000));
static_assert(is_valid_timeval(0, 0) && is_valid_timeval(INT64_MAX, 999'999));
static_assert(!is_valid_timeval(-1, 0) && !is_valid_timeval(0, -1) &&
              !is_valid_timeval(0, 1'000'000));
static_assert(is_valid(0ns, 0ns) && is_valid(never, never) && !is_valid(-1ns, 1ns) &&
              !is_valid(1ns, -1ns));

/// Steps from deadline to deadline: slow, and plainly right.
struct oracle {
  nanoseconds deadline;
  nanoseconds interval;
  bool armed = true;

  std::uint64_t step_to(nanoseconds now) {
    std::uint64_t expirations = 0;
    for (; armed && now >= deadline; ++expirations) {
      armed = interval != 0ns;
      deadline += interval;
    }
    return expirations;
  }
};

nanoseconds random_time(std::mt19937_64& random, std::int64_t low, std::int64_t high) {
  return nanoseconds{pick(random, low, high)};
}

}  // namespace

TEST_CASE("E3: forward agrees with stepping from deadline to deadline") {
  auto random = support::seeded("forward");
  for (int run = 0; run < 20'000; ++run) {
    const nanoseconds deadline = random_time(random, -100, 100);
    const nanoseconds interval = random_time(random, 0, 20);
    const nanoseconds now = random_time(random, -150, 250);
    CAPTURE(deadline.count());
    CAPTURE(interval.count());
    CAPTURE(now.count());

    oracle slow{deadline, interval};
    const std::uint64_t expirations = slow.step_to(now);
    const forwarded quick = forward(deadline, interval, now);
    CHECK_EQ(quick.expirations, expirations);
    REQUIRE_EQ(quick.armed, slow.armed);
    if (quick.armed) REQUIRE_EQ(quick.deadline.count(), slow.deadline.count());
  }
}

TEST_CASE(
    "E4: reports and what is pending add up to what was due, at every instant, and E2: in phase") {
  auto random = support::seeded("conservation");
  for (int run = 0; run < 200; ++run) {
    const nanoseconds first = random_time(random, 0, 1'000'000);
    const nanoseconds interval = random_time(random, 1, 1'000);
    nanoseconds deadline = first;
    std::uint64_t reported = 0;
    for (nanoseconds now = 0ns; now < 3ms; now += random_time(random, 0, 20'000)) {
      CAPTURE(first.count());
      CAPTURE(interval.count());
      CAPTURE(now.count());
      const forwarded pending = forward(deadline, interval, now);
      const auto due =
          now < first ? 0
                      : 1 + static_cast<std::uint64_t>((now - first).count() / interval.count());
      CHECK_EQ(reported + pending.expirations, due);
      REQUIRE_EQ(expirations_by(first, interval, now), due);
      if (pick(random, 0, 2) == 0) continue;  // nobody comes to take them
      reported += pending.expirations;
      deadline = pending.deadline;
      CHECK_GT(deadline.count(), now.count());
      REQUIRE_EQ((deadline - first).count() % interval.count(), 0);
    }
  }
}

#if defined(__SIZEOF_INT128__)

namespace {

using support::int128;

/// Mostly at the ends of 64 bits and around zero, where arithmetic goes wrong.
std::int64_t random_corner(std::mt19937_64& random) {
  using limits = std::numeric_limits<std::int64_t>;
  const std::int64_t off = pick<std::int64_t>(random, 0, 3);
  switch (pick(random, 0, 4)) {
    case 0: return limits::max() - off;
    case 1: return limits::min() + off;
    case 2: return off - 1;
    case 3: return pick(random, limits::min(), limits::max());
    default: return std::int64_t{1} << pick(random, 0, 62);
  }
}

}  // namespace

TEST_CASE("E8: forward is exact or saturated over all of 64 bits") {
  auto random = support::seeded("extremes of forward");
  for (int run = 0; run < 100'000; ++run) {
    const nanoseconds deadline{random_corner(random)};
    const nanoseconds interval{random_corner(random) & INT64_MAX};
    const nanoseconds now{random_corner(random)};
    CAPTURE(deadline.count());
    CAPTURE(interval.count());
    CAPTURE(now.count());

    const forwarded got = forward(deadline, interval, now);
    if (deadline == never || now < deadline) {
      REQUIRE_EQ(got, forwarded{0, deadline, true});
    } else if (interval == 0ns) {
      CHECK_EQ(got.expirations, 1);
      REQUIRE_FALSE(got.armed);
    } else {
      const int128 n = 1 + (int128{now.count()} - deadline.count()) / interval.count();
      CHECK_EQ(got.expirations, n > UINT64_MAX ? UINT64_MAX : static_cast<std::uint64_t>(n));
      REQUIRE_EQ(got.deadline, support::saturated(deadline.count() + n * interval.count()));
      REQUIRE(got.armed);
    }
  }
}

TEST_CASE("E8: sums, advances and what remains are exact or saturated over all of 64 bits") {
  auto random = support::seeded("extremes of sums");
  for (int run = 0; run < 100'000; ++run) {
    const nanoseconds a{random_corner(random)};
    const nanoseconds b{random_corner(random)};
    const nanoseconds interval{random_corner(random) & INT64_MAX};
    const auto n = static_cast<std::uint64_t>(random_corner(random));
    CAPTURE(a.count());
    CAPTURE(b.count());
    CAPTURE(interval.count());
    CAPTURE(n);
    CHECK_EQ(saturating_add(a, b), support::saturated(int128{a.count()} + b.count()));
    CHECK_EQ(deadline_after(a, b), saturating_add(a, b));
    const int128 left = int128{a.count()} - b.count();
    CHECK_EQ(remaining(a, b), support::saturated(left < 0 ? 0 : left));
    // n * interval < 2^127, so that it fits
    REQUIRE_EQ(saturating_advance(a, interval, n),
               support::saturated(a.count() + static_cast<int128>(n) * interval.count()));
  }
}

#endif
