// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// time_line against rules E1 and E6 and what a tolerance promises, beside a list that is searched for each answer.

#include <chime/engine/time_line.hpp>

#include "support/cpu_seconds.hpp"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>

namespace {

using chime::engine::scheduled;
using chime::engine::time_line;
using chime::rules::nanoseconds;
using chime::rules::never;
using chime::rules::saturating_add;

struct timer : scheduled {
  // What the oracle knows of it.
  nanoseconds due = never;
  nanoseconds latest = never;
  std::uint64_t armed = 0;
};

class both {
 public:
  ~both() {
    for (timer& t : timers_) time_line::remove(t);
  }

  void file(timer& t, nanoseconds deadline, nanoseconds tolerance) {
    time_line::set_tolerance(t, tolerance);
    time_line::file(t, line_, deadline);
    t.due = deadline;
    t.latest = saturating_add(deadline, tolerance);
    t.armed = ++armed_;
    CHECK(t.is_filed_at(line_, deadline));
  }

  /// That is no new arming: the place among equals is kept.
  void set_tolerance(timer& t, nanoseconds tolerance) {
    time_line::set_tolerance(t, tolerance);
    if (t.due != never) t.latest = saturating_add(t.due, tolerance);
    CHECK_EQ(t.is_filed(), t.due != never);
  }

  void remove(timer& t) {
    time_line::remove(t);
    t.due = t.latest = never;
    CHECK_FALSE(t.is_filed());
  }

  /// Takes out at most `most` of what is due.
  void pop(nanoseconds now, int most) {
    while (most-- > 0) {
      timer* const expected = first_due(now);
      auto* const popped = static_cast<timer*>(line_.pop_due(now));
      REQUIRE_EQ(popped, expected);
      if (popped == nullptr) return;
      CHECK_FALSE(popped->is_filed());
      popped->due = popped->latest = never;
    }
  }

  /// Nobody is served too late, and no one wakes up for those who can wait.
  void check_wakeup() {
    nanoseconds last_moment = never;
    bool all_can_wait = true;
    for (const timer& t : timers_) {
      if (t.due == never) continue;
      last_moment = std::min(last_moment, t.latest);
      all_can_wait = all_can_wait && t.tolerance() > nanoseconds::zero();
    }
    CHECK(line_.next_wakeup() <= last_moment);
    if (all_can_wait) CHECK_EQ(line_.next_wakeup(), last_moment);
  }

  std::array<timer, 40>& timers() { return timers_; }

 private:
  timer* first_due(nanoseconds now) {
    timer* first = nullptr;
    for (timer& t : timers_) {
      if (t.due == never || t.due > now) continue;
      if (!first || t.due < first->due || (t.due == first->due && t.armed < first->armed))
        first = &t;
    }
    return first;
  }

  time_line line_{chime::engine::base::monotonic, {}};
  std::array<timer, 40> timers_;
  std::uint64_t armed_ = 0;
};

}  // namespace

TEST_CASE(
    "time_line: random filing, with tolerances, is popped as a list searched for each answer "
    "says") {
  auto random = support::seeded("time_line");
  for (int round = 0; round < 200; ++round) {
    both lines;
    nanoseconds now{1'000'000};
    // Deadlines close together, so that many are equal; or far apart, so that the wheels have levels.
    const std::int64_t spread = round % 2 == 0 ? 20 : 1'000'000;
    for (int step = 0; step < 300; ++step) {
      timer& t = lines.timers()[support::pick(random, std::size_t{0}, lines.timers().size() - 1)];
      const std::int64_t tolerances[] = {0, 0, 1, spread / 4, spread};
      const nanoseconds tolerance{tolerances[random() % 5]};
      switch (random() % 9) {
        case 0: lines.remove(t); break;
        case 1: now += nanoseconds{support::pick<std::int64_t>(random, 0, spread)}; break;
        case 2: lines.pop(now, static_cast<int>(random() % 4)); break;
        case 3: lines.pop(now, 1000); break;
        case 4: lines.set_tolerance(t, tolerance); break;
        default: {
          lines.file(t, now + nanoseconds{support::pick<std::int64_t>(random, -spread / 4, spread)},
                     tolerance);
        }
      }
      lines.check_wakeup();
    }
  }
}

TEST_CASE(
    "time_line: of many with a tolerance the earliest may go, and to ask when to wake costs no "
    "search") {
  const auto cost = [](std::size_t count) {
    const auto timers = std::make_unique<timer[]>(count);
    time_line line{chime::engine::base::monotonic, {}};
    CHECK(line.pop_due(nanoseconds{1}) == nullptr);
    const auto latest = [](std::size_t i) {
      return std::chrono::seconds{30} + nanoseconds{static_cast<std::int64_t>(1000 * i)};
    };
    for (std::size_t i = 0; i != count; ++i) {
      time_line::set_tolerance(timers[i], std::chrono::milliseconds{1});
      time_line::file(timers[i], line, latest(i) - std::chrono::milliseconds{1});
    }
    const double seconds = support::cpu_seconds([&] {
      for (std::size_t i = 0; i != 2'000; ++i) {
        time_line::remove(timers[i]);
        CHECK(line.next_wakeup() <= latest(i + 1));
      }
    });
    for (std::size_t i = 0; i != count; ++i) time_line::remove(timers[i]);
    return seconds;
  };
  // 14 times as long where each asked for a search through all.
  CHECK_LT(cost(40'000), 8 * cost(2'500));
}

TEST_CASE("time_line: a clock that is set back makes what was due wait again") {
  both lines;
  lines.file(lines.timers()[0], nanoseconds{100}, nanoseconds{10});
  lines.file(lines.timers()[1], nanoseconds{100}, nanoseconds{0});
  lines.file(lines.timers()[2], nanoseconds{90}, nanoseconds{50});
  lines.pop(nanoseconds{100}, 1);
  lines.pop(nanoseconds{50}, 1000);
  lines.check_wakeup();
  lines.pop(nanoseconds{100}, 1000);
  lines.check_wakeup();
}
