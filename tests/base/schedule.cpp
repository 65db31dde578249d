// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/detail/schedule.hpp>

#include <support/seed.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>

using namespace std::chrono_literals;
using chime::monotonic_clock;
using chime::nanoseconds;
using chime::realtime_clock;
using chime::detail::schedule;

namespace {

constexpr nanoseconds others_step = 2ns;  // by which another test may set the clock meanwhile

template <class Clock>
auto at(nanoseconds deadline, nanoseconds interval = {}) {
  return schedule<Clock>{chime::setting<Clock>::at(typename Clock::time_point{deadline}, interval)};
}

template <class Clock>
auto after(nanoseconds value, nanoseconds interval = {}) {
  return schedule<Clock>{chime::setting<Clock>::after(value, interval)};
}

template <class Clock>
nanoseconds due(const chime::expiry<Clock>& e) {
  return e.scheduled.time_since_epoch();
}

}  // namespace

TEST_CASE("taking nothing changes nothing") {
  auto s = at<monotonic_clock>(10s, 1s);
  const auto none = s.take(0);
  CHECK_EQ(none.expirations, 0);
  CHECK_EQ(due(none), 0ns);
  CHECK_EQ(s.next().time_since_epoch(), 10s);
}

TEST_CASE("E2: each take was due when the last of its expirations was, in phase with the first") {
  auto s = at<monotonic_clock>(10s, 1s);
  CHECK_EQ(due(s.take(1)), 10s);
  const auto three = s.take(3);
  CHECK_EQ(three.expirations, 3);
  CHECK_EQ(three.overrun(), 2);
  CHECK_EQ(due(three), 13s);
  CHECK_EQ(s.next().time_since_epoch(), 14s);
  CHECK_EQ(due(s.take(1)), 14s);
}

TEST_CASE("E4: however the expirations are taken, the last was due at first + (n - 1) * interval") {
  auto random = support::seeded("schedule");
  for (int run = 0; run < 100; ++run) {
    const nanoseconds first{support::pick(random, 1, 1'000'000)};
    const nanoseconds interval{support::pick(random, 1, 1'000'000)};
    auto s = at<monotonic_clock>(first, interval);
    for (std::int64_t n = 0; n < 10'000;) {
      const auto took = support::pick(random, 1, 1000);
      n += took;
      REQUIRE_EQ(due(s.take(static_cast<std::uint64_t>(took))), first + (n - 1) * interval);
      REQUIRE_EQ(s.next().time_since_epoch(), first + n * interval);
    }
  }
}

TEST_CASE("a one-shot timer was due at its deadline") {
  auto s = at<realtime_clock>(10s);
  CHECK_EQ(due(s.take(1)), 10s);
}

TEST_CASE("E8: a schedule is held at the end of time") {
  auto s = at<monotonic_clock>(nanoseconds::max() - 5ns, 3ns);
  CHECK_EQ(due(s.take(2)), nanoseconds::max() - 2ns);
  CHECK_EQ(s.next().time_since_epoch(), nanoseconds::max());
  CHECK_EQ(due(s.take(UINT64_MAX)), nanoseconds::max());
  CHECK_EQ(after<monotonic_clock>(nanoseconds::max()).next().time_since_epoch(),
           nanoseconds::max());
}

TEST_CASE_TEMPLATE("E1: a relative setting counts from now on its own clock", Clock,
                   monotonic_clock, chime::boottime_clock, chime::tai_clock,
                   chime::realtime_alarm_clock, chime::thread_cpu_clock) {
  const auto before = Clock::now();
  auto s = after<Clock>(1h, 1min);
  const auto now = Clock::now();
  CHECK_FALSE(s.is_detached());
  CHECK_GE(s.next(), before + 1h - others_step);
  CHECK_LE(s.next(), now + 1h + others_step);

  const auto next = s.next();
  CHECK_EQ(s.take(3).scheduled, next + 2min);
}

TEST_CASE("C2: a relative setting on REALTIME counts on MONOTONIC") {
  const auto before = realtime_clock::now();
  auto s = after<realtime_clock>(1h, 1min);
  const auto made = realtime_clock::now();
  CHECK(s.is_detached());
  CHECK_FALSE(at<realtime_clock>(1h).is_detached());

  const auto asked = realtime_clock::now();
  const auto taken = s.take(3).scheduled;
  const auto told = realtime_clock::now();
  // What was due is exact on MONOTONIC, and uncertain on REALTIME by the time it takes to ask.
  const auto uncertain = told - asked + others_step;
  CHECK_GE(taken, before + 1h + 2min - uncertain);
  CHECK_LE(taken, made + 1h + 2min + uncertain);
}
