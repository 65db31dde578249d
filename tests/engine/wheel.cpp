// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

#include <chime/engine/wheel.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/cpu_seconds.hpp"
#include "support/sanitizer.hpp"
#include "wheel_check.hpp"
#include "wheel_oracle.hpp"

namespace {

using chime::engine::wheel;
using chime::engine::wheel_check;
using chime::engine::wheel_node;
using chime::rules::nanoseconds;
using chime::rules::never;

constexpr nanoseconds ns(std::int64_t n) { return nanoseconds{n}; }

/// Timers with a wheel they are armed in, and the order in which they come out.
template <std::size_t N>
struct fixture {
  std::array<wheel_node, N> timers;
  wheel w;

  /// Which timers are due at `now`, in order.
  std::vector<std::size_t> due(nanoseconds now) {
    std::vector<std::size_t> popped;
    while (const wheel_node* n = w.pop_due(now)) {
      popped.push_back(static_cast<std::size_t>(n - timers.data()));
      REQUIRE_EQ(wheel_check::fault(w), "");
    }
    return popped;
  }
};

using order = std::vector<std::size_t>;

}  // namespace

TEST_CASE("wheel: an empty wheel has nothing due and no deadline") {
  wheel w;
  CHECK(w.empty());
  CHECK(w.pop_due(ns(0)) == nullptr);
  CHECK(w.pop_due(never) == nullptr);
  CHECK_EQ(w.next_deadline(), never);
  CHECK_EQ(w.next_wakeup(), never);
}

TEST_CASE("wheel: a timer is due at its deadline and not a nanosecond before (E1)") {
  for (const std::int64_t deadline :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{63}, std::int64_t{64}, std::int64_t{4096},
        std::int64_t{123'456'789'012}, std::int64_t{1} << 60, std::int64_t{never.count() - 1}}) {
    CAPTURE(deadline);
    fixture<1> f;
    f.w.arm(f.timers[0], ns(deadline));
    CHECK(f.timers[0].is_armed());
    CHECK_EQ(f.timers[0].deadline(), ns(deadline));
    CHECK_EQ(f.w.next_deadline(), ns(deadline));
    CHECK(f.w.pop_due(ns(deadline - 1)) == nullptr);
    CHECK_EQ(f.w.next_deadline(), ns(deadline));
    CHECK_EQ(f.w.pop_due(ns(deadline)), f.timers.data());
    CHECK_FALSE(f.timers[0].is_armed());
    CHECK(f.w.empty());
  }
}

TEST_CASE("wheel: equal deadlines leave in the order armed (E6)") {
  fixture<5> f;
  for (const std::size_t i : {3U, 1U, 4U, 0U, 2U}) f.w.arm(f.timers[i], ns(1'000'000));
  f.w.arm(f.timers[1], ns(1'000'000));  // re-armed: now the last
  CHECK_EQ(f.due(ns(1'000'000)), order{3, 4, 0, 2, 1});
}

TEST_CASE("wheel: equal deadlines armed at different distances leave in the order armed (E6)") {
  fixture<4> f;
  f.w.arm(f.timers[0], ns(5'000'000));
  f.w.arm(f.timers[3], ns(4'999'990));
  CHECK_EQ(f.due(ns(4'999'990)), order{3});
  f.w.arm(f.timers[1], ns(5'000'000));  // the base is next to it now: level 0, where 0 was far out
  f.w.arm(f.timers[2], ns(5'000'000));
  CHECK_EQ(f.due(ns(5'000'000)), order{0, 1, 2});
}

TEST_CASE("wheel: a deadline put off to another's stands behind it (E6)") {
  fixture<3> f;
  f.w.arm(f.timers[0], ns(100));
  f.w.arm(f.timers[1], ns(9'000));
  f.w.arm(f.timers[0], ns(9'000));
  f.w.arm(f.timers[2], ns(9'000));
  CHECK_EQ(f.w.next_deadline(), ns(9'000));
  CHECK_EQ(f.due(ns(8'999)), order{});
  CHECK_EQ(f.due(ns(9'000)), order{1, 0, 2});
}

TEST_CASE(
    "wheel: deadlines in the past are due at once, in their own order, before later ones (E7)") {
  fixture<7> f;
  f.w.arm(f.timers[0], ns(10'000));
  CHECK_EQ(f.due(ns(10'000)), order{0});
  f.w.arm(f.timers[1], ns(10'001));
  f.w.arm(f.timers[2], ns(9'000));
  f.w.arm(f.timers[3], ns(500));
  f.w.arm(f.timers[4], ns(9'000));
  f.w.arm(f.timers[5], ns(10'000));
  f.w.arm(f.timers[6], ns(0));
  CHECK_EQ(f.w.next_deadline(), ns(0));
  CHECK_EQ(f.due(ns(20'000)), order{6, 3, 2, 4, 5, 1});
}

TEST_CASE("wheel: never does not come, and is armed all the same (E8)") {
  fixture<2> f;
  f.w.arm(f.timers[0], never);
  f.w.arm(f.timers[1], ns(100));
  f.w.arm(f.timers[1], never);
  CHECK_EQ(f.w.size(), 2);
  CHECK(f.timers[0].is_armed());
  CHECK_EQ(f.w.next_deadline(), never);
  CHECK_EQ(f.due(never), order{});
  f.w.arm(f.timers[0], ns(5));
  CHECK_EQ(f.due(never), order{0});
  CHECK(f.w.disarm(f.timers[1]));
  CHECK(f.w.empty());
}

TEST_CASE("wheel: what was put off to never before the wheel got lanes does not come either") {
  std::array<wheel_node, 3> timers;
  wheel w{2};  // lanes from the third timer on
  w.arm(timers[0], ns(1'000));
  w.arm(timers[0], never);
  w.arm(timers[1], ns(2'000));
  w.arm(timers[2], ns(3'000));
  CHECK_EQ(wheel_check::fault(w), "");
  CHECK_EQ(w.pop_due(never), &timers[1]);
  CHECK_EQ(w.pop_due(never), &timers[2]);
  CHECK(w.pop_due(never) == nullptr);
  CHECK(timers[0].is_armed());
}

TEST_CASE("wheel: disarming tells whether the timer was armed, and the next deadline follows") {
  fixture<3> f;
  f.w.arm(f.timers[0], ns(300));
  f.w.arm(f.timers[1], ns(200));
  f.w.arm(f.timers[2], ns(100));
  CHECK_EQ(f.w.next_deadline(), ns(100));
  CHECK(f.w.disarm(f.timers[2]));
  CHECK_FALSE(f.w.disarm(f.timers[2]));
  CHECK_EQ(f.w.next_deadline(), ns(200));
  CHECK_EQ(f.w.next_wakeup(), ns(200));
  CHECK(f.w.disarm(f.timers[1]));
  CHECK_EQ(f.w.size(), 1);
  CHECK_EQ(f.due(ns(300)), order{0});
}

TEST_CASE("wheel: any timer may be re-armed or disarmed between two pops") {
  fixture<5> f;
  for (wheel_node& n : f.timers) f.w.arm(n, ns(1'000));
  REQUIRE_EQ(f.w.pop_due(ns(1'000)), f.timers.data());
  f.w.arm(f.timers[0], ns(1'000));  // itself, due again: behind the others
  CHECK(f.w.disarm(f.timers[1]));   // one that is ready
  f.w.arm(f.timers[2], ns(1'500));  // one that is ready, put off
  f.w.arm(f.timers[3], ns(10));     // one that is ready, called forward
  CHECK_EQ(f.due(ns(1'000)), order{3, 4, 0});
  CHECK_EQ(f.w.next_deadline(), ns(1'500));
  CHECK_EQ(f.due(ns(2'000)), order{2});
}

TEST_CASE("wheel: time may jump to the end at once") {
  fixture<4> f;
  f.w.arm(f.timers[0], ns(std::int64_t{1} << 62));
  f.w.arm(f.timers[1], ns(1));
  f.w.arm(f.timers[2], never - ns(1));
  f.w.arm(f.timers[3], ns(std::int64_t{1} << 40));
  CHECK_EQ(f.due(never), order{1, 3, 0, 2});
}

TEST_CASE("wheel: after the clock was set back, timers wait for it to come round again (C2)") {
  fixture<5> f;
  f.w.arm(f.timers[0], ns(1'000'000));
  f.w.arm(f.timers[1], ns(2'000'000));
  f.w.arm(f.timers[4], ns(1'000'500));
  CHECK_EQ(f.due(ns(1'000'000)), order{0});
  CHECK_EQ(f.due(ns(10)), order{});  // set back
  f.w.arm(f.timers[2], ns(500));     // before what was popped, and in the future again
  f.w.arm(f.timers[3], ns(1'000'000));
  CHECK_EQ(f.w.next_deadline(), ns(500));
  CHECK_EQ(f.due(ns(499)), order{});
  CHECK_EQ(f.due(ns(500)), order{2});
  CHECK_EQ(f.due(ns(3'000'000)), order{3, 4, 1});
}

TEST_CASE("wheel: what was ready when the clock was set back is not due") {
  fixture<3> f;
  for (wheel_node& n : f.timers) f.w.arm(n, ns(1'000));
  REQUIRE_EQ(f.w.pop_due(ns(1'000)), f.timers.data());
  CHECK_EQ(f.due(ns(999)), order{});
  CHECK_EQ(f.w.next_deadline(), ns(1'000));
  CHECK_EQ(f.due(ns(1'000)), order{1, 2});
}

TEST_CASE("wheel: instants before the epoch are instants") {
  fixture<3> f;
  f.w.arm(f.timers[0], ns(5));
  f.w.arm(f.timers[1], ns(-5));
  f.w.arm(f.timers[2], nanoseconds::min());
  CHECK_EQ(f.due(ns(-6)), order{2});
  CHECK_EQ(f.due(ns(0)), order{1});
  CHECK_EQ(f.due(ns(5)), order{0});
}

TEST_CASE("wheel: a wheel that goes away disarms its timers") {
  std::array<wheel_node, 4> timers;
  {
    wheel w;
    w.arm(timers[0], ns(1));
    w.arm(timers[1], ns(1'000'000));
    w.arm(timers[2], never);
    REQUIRE_EQ(w.pop_due(ns(1)), timers.data());
    w.arm(timers[3], ns(0));
  }
  for (const wheel_node& n : timers) CHECK_FALSE(n.is_armed());
}

TEST_CASE("wheel: usable at compile time") {
  constexpr bool works = [] {
    std::array<wheel_node, 3> timers;
    wheel w;
    w.arm(timers[0], ns(1'000));
    w.arm(timers[1], ns(70));
    w.arm(timers[2], ns(1'000));
    bool ok = w.next_deadline() == ns(70) && w.pop_due(ns(69)) == nullptr;
    ok = ok && w.pop_due(ns(70)) == &timers[1];
    ok = ok && w.pop_due(ns(1'000)) == &timers[0];
    ok = ok && w.disarm(timers[2]);
    return ok && w.empty();
  }();
  CHECK(works);
}

TEST_CASE("wheel: many timers, armed, put off, disarmed, leave in order") {
  constexpr std::size_t count = 5 * wheel::default_lanes_from;  // so it gets lanes on the way
  std::mt19937_64 random{1};
  const std::unique_ptr<wheel_node[]> timers{new wheel_node[count]};
  wheel w;
  using entry = std::pair<nanoseconds, std::size_t>;  // deadline, order armed
  std::vector<entry> expected(count);
  std::size_t armed = 0;
  const auto arm = [&](std::size_t i) {
    expected[i] = {ns(static_cast<std::int64_t>(random() % 4 == 0 ? 1'000'000'000
                                                                  : random() % 10'000'000'000)),
                   armed++};
    w.arm(timers[i], expected[i].first);
  };
  for (std::size_t i = 0; i != count; ++i) arm(i);
  for (std::size_t i = 0; i != count / 2; ++i) arm(static_cast<std::size_t>(random() % count));
  for (std::size_t i = 0; i < count; i += 3) {
    CHECK(w.disarm(timers[i]));
    expected[i].first = never;
  }
  CHECK_EQ(wheel_check::fault(w), "");
  std::vector<std::size_t> sequence;
  for (std::size_t i = 0; i != count; ++i) {
    if (expected[i].first != never) sequence.push_back(i);
  }
  std::ranges::sort(sequence, {}, [&](std::size_t i) { return expected[i]; });
  CHECK_EQ(w.size(), sequence.size());
  bool in_order = true;
  for (const std::size_t i : sequence) {
    in_order = in_order && w.next_deadline() == expected[i].first;
    in_order = in_order && w.pop_due(expected[i].first) == &timers[i];
  }
  CHECK(in_order);
  CHECK(w.empty());
}

TEST_CASE("wheel: of many that are due some are disarmed, put off, or joined by earlier ones") {
  constexpr std::size_t count = 200;
  std::array<wheel_node, count + 1> timers;
  wheel w{1};  // with lanes, nearly from the start
  const auto next = [&](nanoseconds now) {
    const wheel_node* const n = w.pop_due(now);
    REQUIRE_EQ(wheel_check::fault(w), "");
    return n == nullptr ? count + 2 : static_cast<std::size_t>(n - timers.data());
  };
  for (std::size_t i = 0; i != count; ++i) w.arm(timers[i], ns(1000));
  std::size_t expected = 0;
  for (; expected != 3; ++expected) CHECK_EQ(next(ns(1000)), expected);

  SUBCASE("in turn") {}
  SUBCASE("the next one is disarmed") {
    w.disarm(timers[3]);
    ++expected;
  }
  SUBCASE("one in the middle is disarmed") {
    w.disarm(timers[20]);
    for (; expected != 20; ++expected) CHECK_EQ(next(ns(1000)), expected);
    ++expected;
  }
  SUBCASE("one is armed anew, and another comes behind it") {
    w.arm(timers[5], ns(1000));
    w.arm(timers[count], ns(1000));
    for (; expected != count; ++expected)
      if (expected != 5) CHECK_EQ(next(ns(1000)), expected);
    CHECK_EQ(next(ns(1000)), std::size_t{5});
  }
  SUBCASE("an earlier one joins them") {
    w.arm(timers[count], ns(999));
    CHECK_EQ(next(ns(1000)), count);
  }
  SUBCASE("the clock is set back, and on again") {
    CHECK_EQ(next(ns(999)), count + 2);
    CHECK_EQ(w.next_deadline(), ns(1000));
  }
  for (; expected != count; ++expected) CHECK_EQ(next(ns(1000)), expected);
  while (next(ns(1000)) == count) continue;
  CHECK(w.empty());
}

TEST_CASE(
    "wheel: of many with one deadline some are disarmed, put off or called forward before it") {
  constexpr std::size_t count = 500;
  std::array<wheel_node, count> timers;
  std::array<wheel_node, count> others;  // so that there are gaps between sequence numbers
  wheel w{1};
  const nanoseconds deadline{1'000'000'000};
  REQUIRE(w.pop_due(ns(1)) == nullptr);  // so that the others are far from them
  std::vector<std::size_t> expected;
  for (std::size_t i = 0; i != count; ++i) {
    if (i % 7 == 3) w.arm(others[i], ns(2'000'000'000'000));
    w.arm(timers[i], deadline);
    expected.push_back(i);
  }
  const auto gone = [&](std::size_t i) { std::erase(expected, i); };
  CHECK(wheel_check::is_uniform(w, deadline));
  bool stays_uniform = false;

  SUBCASE("none") { stays_uniform = true; }
  SUBCASE("the first and some others are disarmed") {
    for (const std::size_t i : {0U, 9U, 10U, 11U, 12U, 13U, 14U, 15U, 16U, 400U, 499U}) {
      w.disarm(timers[i]);
      gone(i);
    }
    stays_uniform = true;
  }
  SUBCASE("some are put off") {
    for (const std::size_t i : {0U, 3U, 499U}) {
      w.arm(timers[i], deadline + ns(1));
      gone(i);
    }
    for (const std::size_t i : {0U, 3U, 499U}) expected.push_back(i);
  }
  SUBCASE("some are armed anew for the same") {
    for (const std::size_t i : {17U, 5U, 0U}) {
      w.arm(timers[i], deadline);
      gone(i);
      expected.push_back(i);
    }
  }
  SUBCASE("one is called forward") {
    w.arm(timers[77], deadline - ns(1));
    gone(77);
    expected.insert(expected.begin(), 77);
  }
  SUBCASE("another comes between them, of old standing") {
    w.disarm(timers[200]);
    w.arm(timers[200], deadline, timers[200].sequence());
  }
  CHECK_EQ(wheel_check::is_uniform(w, deadline), stays_uniform);
  REQUIRE_EQ(wheel_check::fault(w), "");
  CHECK_EQ(w.next_deadline(), timers[expected.front()].deadline());
  for (const std::size_t i : expected) {
    REQUIRE_EQ(w.pop_due(deadline + ns(1)), &timers[i]);
    REQUIRE_EQ(wheel_check::fault(w), "");
  }
  CHECK(w.pop_due(deadline + ns(1)) == nullptr);
}

TEST_CASE("wheel: the number after the last of many may be that of a later one") {
  constexpr std::size_t count = 9;
  std::array<wheel_node, count + 3> timers;
  wheel w{1, 1};  // takes slots over that have one deadline
  for (std::size_t i = 0; i != count; ++i) w.arm(timers[i], ns(1'000'000), i + 1);
  for (std::size_t i = 0; i != count; ++i) REQUIRE_EQ(w.pop_due(ns(1'000'000)), &timers[i]);
  REQUIRE(w.pop_due(ns(1'000'000)) == nullptr);
  wheel_node& first = timers[count];
  wheel_node& between = timers[count + 1];
  wheel_node& last = timers[count + 2];  // where the number leads to: the third, in lane 2
  w.arm(first, ns(500'000), 0);
  w.arm(between, ns(600'000), 0);
  w.arm(last, ns(1'000'000), count + 1);
  CHECK(w.disarm(between));  // out of turn
  CHECK_EQ(w.pop_due(ns(1'000'000)), &first);
  CHECK_EQ(w.pop_due(ns(1'000'000)), &last);
}

TEST_CASE("wheel: what has left out of turn, as the next to leave, may come back to its place") {
  std::array<wheel_node, 11> timers;
  wheel w{1, 1};
  for (std::size_t i = 0; i != 10; ++i) w.arm(timers[i], ns(1'000), i);
  for (std::size_t i = 0; i != 9; ++i) REQUIRE_EQ(w.pop_due(ns(1'000)), &timers[i]);
  w.disarm(timers[9]);
  w.arm(timers[9], ns(1'000), 9);
  w.arm(timers[10], ns(1'000), 10);
  CHECK_EQ(w.pop_due(ns(1'000)), &timers[9]);
  CHECK_EQ(w.pop_due(ns(1'000)), &timers[10]);
}

TEST_CASE("wheel: those that come overdue leave in order, too, whatever their number (E6)") {
  std::size_t lanes_from = 0;
  SUBCASE("one lane") { lanes_from = 1'000'000; }
  SUBCASE("lanes") {}
  constexpr std::size_t count = 1'000;
  const auto timers = std::make_unique<wheel_node[]>(2 * count);
  wheel w{lanes_from};
  for (std::size_t i = 0; i != count; ++i) w.arm(timers[i], ns(1'000));
  CHECK_EQ(w.pop_due(ns(1'000)), &timers[0]);
  // Two by two between two pops, ever more of them outstanding; some are disarmed, or come again.
  std::mt19937 random{1};
  const auto overdue = [&] { return ns(static_cast<std::int64_t>(random() % 1'001)); };
  nanoseconds latest = nanoseconds::min();
  for (std::size_t i = count; i != 2 * count; i += 2) {
    w.arm(timers[i], overdue());
    w.arm(timers[i + 1], overdue());
    if (random() % 4 == 0) w.disarm(timers[count + random() % count]);
    if (random() % 4 == 0) w.arm(timers[random() % count], overdue());
    REQUIRE_EQ(wheel_check::fault(w), "");
    const nanoseconds next = w.next_deadline();
    const wheel_node* const n = w.pop_due(ns(1'000));
    REQUIRE_EQ(n->deadline(), next);
    REQUIRE_EQ(wheel_check::fault(w), "");
  }
  std::uint64_t before = 0;
  while (const wheel_node* const n = w.pop_due(ns(1'000))) {
    CHECK_LE(latest, n->deadline());
    if (latest == n->deadline()) CHECK_LT(before, n->sequence());
    latest = n->deadline();
    before = n->sequence();
  }
  CHECK(w.empty());
}

TEST_CASE("wheel: while many are due, one that comes overdue costs no more for their number") {
  constexpr std::size_t count = 20'000;
  const auto timers = std::make_unique<wheel_node[]>(count);
  wheel_node late;
  const auto cost = [&](bool some_come_late) {
    wheel w;
    CHECK(w.pop_due(ns(1)) == nullptr);
    for (std::size_t i = 0; i != count; ++i) w.arm(timers[i], ns(1'000'000));
    return support::cpu_seconds([&] {
      std::size_t popped = 0;
      while (const wheel_node* n = w.pop_due(ns(1'000'000))) {
        if (n == &late) continue;
        ++popped;
        if (some_come_late) w.arm(late, ns(999'999));
      }
      CHECK_EQ(popped, count);
    });
  };
  // Twice as many pops; by a sort of all at each it was 400 times as long and more.
  CHECK_LE(cost(true), 50 * cost(false));
}

TEST_CASE("wheel: one of many that are overdue leaves before anybody asks for their order") {
  constexpr std::size_t count = 200'000;
  const auto timers = std::make_unique<wheel_node[]>(count);
  wheel w;
  CHECK(w.pop_due(ns(10'000'000)) == nullptr);
  std::mt19937 random{1};
  for (std::size_t i = 0; i != count; ++i)
    w.arm(timers[i], ns(static_cast<std::int64_t>(random() % 1'000'000)));
  // (A sort of all took 50 ms.)
  const double disarmed = support::cpu_seconds([&] {
    CHECK(w.disarm(timers[7]));
    CHECK(w.disarm(timers[0]));
  });
  CHECK_LT(disarmed, support::cpu_seconds([&] {
                       for (nanoseconds latest{};
                            const wheel_node* n = w.pop_due(ns(10'000'000));) {
                         CHECK_LE(latest, n->deadline());
                         latest = n->deadline();
                       }
                     }) / 5);
  CHECK(w.empty());
}

TEST_CASE("wheel: what is due when the wheel gets lanes leaves first") {
  std::array<wheel_node, 5> timers;
  wheel w{4};
  for (std::size_t i = 0; i != 3; ++i) w.arm(timers[i], ns(10));
  CHECK_EQ(w.pop_due(ns(20)), &timers[0]);
  w.arm(timers[3], ns(5));
  w.arm(timers[0], ns(10));
  w.arm(timers[4], ns(15));
  CHECK_EQ(wheel_check::fault(w), "");
  for (const std::size_t i : {3U, 1U, 2U, 0U, 4U}) CHECK_EQ(w.pop_due(ns(20)), &timers[i]);
  CHECK(w.empty());
}

TEST_CASE("wheel: a big slot is split by the pops before its time, and no pop has to do it all") {
  bool some_expire_on_the_way = false;
  SUBCASE("timers expire on the way") { some_expire_on_the_way = true; }
  SUBCASE("nothing else is due") {}
  constexpr std::size_t count = 20'000;
  const auto timers = std::make_unique<wheel_node[]>(count);
  wheel w;
  const nanoseconds slot{std::int64_t{1} << 30};  // of level 5
  const nanoseconds start = slot * 1'000;
  CHECK(w.pop_due(start) == nullptr);
  const nanoseconds first = start + slot + ns(1'000);
  for (std::size_t i = 0; i != count; ++i)
    w.arm(timers[i], first + ns(static_cast<std::int64_t>(i * 7'919 % count) * 50'000));
  CHECK_EQ(wheel_check::in_slot_of(w, first), count);

  // Time comes near: each pop moves at most 8.
  std::array<wheel_node, 3'000> others;
  nanoseconds now = first - slot / 4;
  for (wheel_node& n : others) {
    const std::size_t before = wheel_check::in_slot_of(w, first);
    now += ns(1'000);
    if (some_expire_on_the_way) w.arm(n, now);
    CHECK_EQ(w.pop_due(now), some_expire_on_the_way ? &n : nullptr);
    CHECK_GE(wheel_check::in_slot_of(w, first) + 8, before);
  }
  CHECK_LE(wheel_check::in_slot_of(w, first), 1);  // the one that makes next_deadline() exact
  CHECK_EQ(wheel_check::fault(w), "");
  CHECK_EQ(w.next_deadline(), first);

  nanoseconds last = nanoseconds::min();
  std::size_t popped = 0;
  for (; const wheel_node* n = w.pop_due(never - ns(1)); ++popped) {
    CHECK_LE(last, n->deadline());
    last = n->deadline();
  }
  CHECK_EQ(popped, count);
}

TEST_CASE("wheel: random runs agree with the oracle") {
  const char* chosen = std::getenv("CHIME_TEST_SEED");
  const std::uint64_t first =
      chosen != nullptr ? std::strtoull(chosen, nullptr, 0) : std::random_device{}();
  // One thread: under ThreadSanitizer it only takes long.
  const std::uint64_t runs = chosen != nullptr ? 1 : support::thread_sanitizer ? 100 : 2'000;
  MESSAGE("seeds from " << first << " (set CHIME_TEST_SEED to repeat one)");
  std::size_t popped = 0;
  std::size_t steps_back = 0;
  for (std::uint64_t seed = first; seed != first + runs; ++seed) {
    std::mt19937_64 random{seed};
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(random() % 4'000));
    for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random());
    const auto result = chime::tests::run_wheel(bytes);
    REQUIRE_MESSAGE(result.fault.empty(), "seed " << seed << ": " << result.fault);
    popped += result.popped;
    steps_back += result.steps_back;
  }
  if (chosen == nullptr) {
    CHECK_GT(popped, 50 * runs);
    CHECK_GT(steps_back, runs);
  }
}
