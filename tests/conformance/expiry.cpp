// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Rules E: of all timers.
#include "support/one_cpu.hpp"
#include "worlds.hpp"

#include <chime/rules.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <cerrno>
#include <cstdint>
#include <vector>

using namespace conformance;

#define CHIME_ALL CHIME_TIMERFDS, CHIME_POSIX_TIMERS, CHIME_REAL_ITIMERS
#define CHIME_WITH_ABSOLUTE CHIME_TIMERFDS, CHIME_POSIX_TIMERS

TEST_CASE_TEMPLATE("E1 a timer never expires early, and in virtual time not late either", S,
                   CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  outcome<typename S::clock> seen;
  for (int i = 1; i <= 20; ++i) {
    const nanoseconds value = 17us * i;
    const auto before = t.now();
    t.expires_after(value);
    const auto after = t.now();
    typename S::clock::time_point woken{};
    begin_wait(t, [&](chime::error_code ec, auto e) {
      woken = t.now();
      seen.handler()(ec, e);
    });
    world.until([&] { return seen.calls == i; });
    CHECK(!seen.error);
    CHECK(seen.expiry.expirations == 1);
    CHECK(woken >= seen.expiry.scheduled);
    CHECK(woken >= before + value);
    if (S::world::is_virtual) CHECK(woken == after + value);
    CHECK_FALSE(t.is_ready());
  }
}

TEST_CASE_TEMPLATE("E1 an absolute timer expires at its deadline", S, CHIME_WITH_ABSOLUTE) {
  typename S::world world;
  typename S::timer t{world.context};
  outcome<typename S::clock> seen;
  for (int i = 1; i <= 20; ++i) {
    const auto deadline = t.now() + 13us * i + nanoseconds{i};
    t.expires_at(deadline);
    begin_wait(t, [&](chime::error_code ec, auto e) {
      CHECK(t.now() >= deadline);
      if (S::world::is_virtual) CHECK(t.now() == deadline);
      seen.handler()(ec, e);
    });
    world.until([&] { return seen.calls == i; });
    CHECK(seen.expiry.scheduled == deadline);
  }
}

TEST_CASE_TEMPLATE("E2 E4 each deadline is in phase and accounted for, however late anybody is", S,
                   CHIME_WITH_ABSOLUTE) {
  typename S::world world;
  typename S::timer t{world.context};
  const auto first = t.now() + 500us;
  const nanoseconds interval = 300us;
  t.set(S::setting::at(first, interval));
  std::uint64_t total = 0;
  int waits = 0;
  const auto account = [&](auto expired, auto now) {
    total += expired.expirations;
    CHECK(expired.expirations >= 1);
    CHECK(expired.scheduled == first + (total - 1) * interval);
    CHECK(expired.scheduled <= now);
    CHECK(now - expired.scheduled <
          interval + (S::world::is_virtual ? 0ns : nanoseconds{support::slack}));
  };
  for (; waits < 20; ++waits) {
    // Now and then nobody waits for a while.
    if (waits % 5 == 4) world.pass(1300us);
    std::optional<chime::expiry<typename S::clock>> got;
    begin_wait(t, [&](chime::error_code ec, auto e) {
      REQUIRE(!ec);
      got = e;
    });
    world.until([&] { return got.has_value(); });
    account(*got, t.now());
  }
  const auto by = [&](auto when) {
    return chime::rules::expirations_by(first.time_since_epoch(), interval,
                                        when.time_since_epoch());
  };
  const auto before = t.now();
  if (total < by(before)) {
    world.expect_due(t);
    total += t.try_take()->expirations;
  }
  CHECK(total >= by(before));
  CHECK(total <= by(t.now()));
}

TEST_CASE_TEMPLATE("E3 E5 what nobody took is one notification with the whole count", S,
                   CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  const auto before = t.now();
  t.expires_every(200us);
  const auto after = t.now();
  world.pass(5100us);
  world.expect_due(t);
  const auto asked = t.now();
  const auto got = t.try_take();
  REQUIRE(got);
  CHECK(got->expirations >= static_cast<std::uint64_t>((asked - after) / 200us));
  CHECK(got->expirations <= static_cast<std::uint64_t>((t.now() - before) / 200us));
  CHECK(got->overrun() == static_cast<int>(got->expirations) - 1);
  if (S::world::is_virtual) {
    CHECK(got->expirations == 25);
    CHECK(got->scheduled == before + 5ms);
    CHECK_FALSE(t.try_take());
    world.pass(99us);  // the phase stands: the next is due at 5.2 ms
    CHECK_FALSE(t.is_ready());
    world.pass(1us);
    CHECK(t.is_ready());
  }
}

TEST_CASE_TEMPLATE("E3 a one-shot timer expires once", S, CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_after(100us);
  world.pass(3ms);
  world.expect_due(t);
  CHECK(t.get() == S::setting::disarmed());
  const auto got = t.try_take();
  REQUIRE(got);
  CHECK(got->expirations == 1);
  CHECK(got->overrun() == 0);
  world.pass(1ms);
  CHECK_FALSE(t.try_take());
}

TEST_CASE_TEMPLATE("E5 an interval of a nanosecond costs no more than one of an hour", S,
                   CHIME_WITH_ABSOLUTE) {
  typename S::world world;
  typename S::timer t{world.context};
  const auto first = t.now() + 1ms;
  t.set(S::setting::at(first, 1ns));
  std::uint64_t total = 0;
  for (int i = 0; i < 50; ++i) {
    int done = 0;
    begin_wait(t, [&](chime::error_code ec, auto e) {
      ++done;
      REQUIRE(!ec);
      total += e.expirations;
      CHECK(e.scheduled == first + nanoseconds{total - 1});
      CHECK(e.scheduled <= t.now());
    });
    world.until([&] { return done == 1; });
  }
  CHECK(total >= 50);
}

TEST_CASE_TEMPLATE("E6 equal deadlines expire in the order in which they were armed", S,
                   CHIME_POSIX_TIMERS, subject<real_world, user::timerfd<monotonic_clock>>,
                   subject<virtual_world, user::timerfd<monotonic_clock>>) {
  const support::on_one_cpu here;  // the kernel keeps the order of those armed on one
  typename S::world world;
  constexpr std::size_t count = 30;  // an emulator may have but 32 POSIX timers
  std::vector<typename S::timer> timers;
  for (std::size_t i = 0; i < count; ++i) timers.emplace_back(world.context);
  bool in_time = false;
  for (nanoseconds ahead = 20ms; !in_time && ahead < 10s; ahead *= 3) {
    std::vector<std::size_t> order;
    std::vector<std::size_t> armed;
    const auto deadline = timers[0].now() + ahead;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t which = i * 7 % count;
      armed.push_back(which);
      timers[which].expires_at(deadline);
      begin_wait(timers[which], [&order, which](auto, auto) { order.push_back(which); });
    }
    timers[armed.front()].expires_at(deadline);  // armed anew: now it is the last
    armed.push_back(armed.front());
    armed.erase(armed.begin());
    // Else the machine stalled, and nothing follows from the order.
    in_time = timers[0].now() < deadline;
    world.until([&] { return order.size() == count; });
    if (in_time) CHECK(order == armed);
  }
  CHECK(in_time);
}

TEST_CASE_TEMPLATE("E7 a deadline in the past expires at once, with all since", S,
                   CHIME_WITH_ABSOLUTE) {
  typename S::world world;
  typename S::timer t{world.context};
  const auto past = t.now() - 10ms;
  t.expires_at(past);
  world.expect_due(t);
  auto got = t.try_take();
  REQUIRE(got);
  CHECK(got->expirations == 1);
  CHECK(got->scheduled == past);

  t.set(S::setting::at(past, 1ms));
  const auto set = t.now();
  int done = 0;
  begin_wait(t, [&](chime::error_code ec, auto e) {
    ++done;
    REQUIRE(!ec);
    CHECK(e.expirations >= static_cast<std::uint64_t>(1 + (set - past) / 1ms));
    CHECK(e.scheduled == past + (e.expirations - 1) * 1ms);
  });
  world.until([&] { return done == 1; });
}

TEST_CASE_TEMPLATE("E8 what lies past the end of time never comes, and nothing wraps", S,
                   CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_after(nanoseconds::max());
  world.pass(1ms);
  CHECK_FALSE(t.is_ready());
  CHECK(t.get().value > std::chrono::hours{24 * 365 * 200});
  t.set(S::setting::after(1ms, nanoseconds::max()));
  world.pass(10ms);
  world.expect_due(t);
  const auto got = t.try_take();
  REQUIRE(got);
  CHECK(got->expirations == 1);
  CHECK(t.get().value > std::chrono::hours{24 * 365 * 200});
  t.set(S::setting::after(1h, std::chrono::seconds{9'223'372'036} + 500ms));
  CHECK(t.get().interval == nanoseconds::max());
}

TEST_CASE_TEMPLATE("E9 an invalid time is EINVAL, and the earlier setting stands", S, CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  t.set(S::setting::after(1h, 2h));
  for (const auto& bad :
       {S::setting::after(-1ns), S::setting::after(1s, -1ns), S::setting::after(0ns, -1ns)}) {
    chime::error_code ec;
    t.set(bad, ec);
    CHECK(ec.value() == EINVAL);
    const auto left = t.get();
    CHECK(left.value > 59min);
    CHECK(left.value <= 1h);
    CHECK(left.interval == 2h);
  }
  CHECK_THROWS_AS(t.expires_after(-1s), chime::system_error);
}
