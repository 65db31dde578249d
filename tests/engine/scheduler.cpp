// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// The lines of a scheduler: what is due on several bases, and lines of threads that come and go.

#include <chime/engine/scheduler.hpp>

#include "support/cpu_seconds.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using chime::thread_clock;
using chime::engine::base;
using chime::engine::scheduled;
using chime::engine::scheduler;
using chime::engine::time_line;
using chime::rules::nanoseconds;

struct clocks final : chime::engine::time_source {
  [[nodiscard]] nanoseconds now(base on, thread_clock thread) const noexcept override {
    return on == base::thread_cpu ? nanoseconds{static_cast<std::int64_t>(thread)} : time;
  }
  nanoseconds time{1'000};
};

thread_clock thread(int number) { return static_cast<thread_clock>(number); }

}  // namespace

TEST_CASE("scheduler: what is due is served on one base after the other") {
  clocks time;
  scheduler s{time};
  time_line& a = s.line(base::monotonic);
  time_line& b = s.line(base::realtime);
  std::array<scheduled, 6> timers;
  for (std::size_t i = 0; i != 4; ++i) time_line::file(timers[i], a, nanoseconds{100});
  for (std::size_t i = 4; i != 6; ++i) time_line::file(timers[i], b, nanoseconds{100});
  s.look();
  std::vector<const time_line*> order;
  while (scheduled* const t = s.pop_due().timer) order.push_back(&t->line());
  REQUIRE_EQ(order.size(), 6);
  CHECK_EQ(std::count(order.begin(), order.begin() + 4, &a), 2);  // by turns, while there are both
  CHECK(s.pop_due().timer == nullptr);
  time_line::file(timers[0], a, nanoseconds{100});
  CHECK(s.pop_due().timer == nullptr);  // at the next look
  s.look();
  CHECK(s.pop_due().timer == timers.data());
}

TEST_CASE(
    "scheduler: the line of a thread goes to another when nobody uses it, and tells its time") {
  clocks time;
  scheduler s{time};
  time_line& first = s.line(base::thread_cpu, thread(900));
  first.users = 1;
  CHECK_EQ(&s.line(base::thread_cpu, thread(900)), &first);
  scheduled t;
  time_line::file(t, first, nanoseconds{500});
  s.look();
  REQUIRE(s.pop_due().timer == &t);

  first.users = 0;
  time_line& second = s.line(base::thread_cpu, thread(100));
  CHECK_EQ(&second, &first);
  second.users = 1;
  time_line::file(t, second, nanoseconds{500});
  CHECK(s.pop_due().timer == nullptr);  // not by the reading of the other thread's clock
  s.look();
  CHECK(s.pop_due().timer == nullptr);
  time_line::remove(t);

  time_line& third = s.line(base::thread_cpu, thread(600));
  CHECK_NE(&third, &second);
  third.users = 1;
  time_line::file(t, third, nanoseconds{500});
  s.look();
  CHECK(s.pop_due().timer == &t);
}

TEST_CASE("scheduler: lines of threads that nobody uses any more cost nothing") {
  const auto cost = [](int threads) {
    clocks time;
    scheduler s{time};
    std::vector<time_line*> lines;
    for (int i = 0; i != threads; ++i) {
      lines.push_back(&s.line(base::thread_cpu, thread(i)));
      lines.back()->users = 1;
    }
    for (time_line* l : lines) l->users = 0;
    scheduled t;
    time_line& line = s.line(base::monotonic);
    return support::cpu_seconds([&] {
      for (int i = 0; i != 20'000; ++i) {
        time_line::file(t, line, nanoseconds{100});
        s.look();
        REQUIRE(s.pop_due().timer == &t);
        CHECK(s.next_look() == chime::rules::never);
      }
    });
  };
  CHECK_LT(cost(1'000), 8 * cost(1));
}
