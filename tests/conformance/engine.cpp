// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What the engine promises beyond the rules: tolerance, fairness, many threads, forks.
#include "worlds.hpp"

#if !defined(_WIN32) && !defined(BOOST_ASIO_HAS_IO_URING)
#include "support/in_child.hpp"
#endif
#include "support/seed.hpp"

#include <chime/engine_options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace conformance;

namespace {

using timer = chime::basic_timer<user::timerfd<monotonic_clock>>;

}  // namespace

TEST_CASE("tolerance: each wait completes in [deadline, deadline + tolerance], with few wake-ups") {
  virtual_world world;
  chime::configure_engine(world.context, {.tolerance = 1ms, .single_threaded = true});
  constexpr int count = 1000;
  std::vector<timer> timers;
  for (int i = 0; i < count; ++i) timers.emplace_back(world.context);
  std::set<nanoseconds> woken;
  int served = 0;
  const auto start = timers[0].now();
  for (int i = 0; i < count; ++i) {
    const auto deadline = start + 1s + 10us * i;  // spread over 10 ms
    timers[static_cast<std::size_t>(i)].expires_at(deadline);
    begin_wait(timers[static_cast<std::size_t>(i)], [&, deadline](auto, auto e) {
      const auto now = timers[0].now();
      CHECK(now >= deadline);
      CHECK(now <= deadline + 1ms);
      CHECK(e.scheduled == deadline);
      woken.insert(now.time_since_epoch());
      ++served;
    });
  }
  world.time.run_until_idle();
  CHECK(served == count);
  CHECK(woken.size() == 10);  // no fewer will do: one for each 1.01 ms
}

TEST_CASE("tolerance of one timer: others keep theirs, and may take it along") {
  virtual_world world;
  timer lax{world.context};
  timer strict{world.context};
  std::vector<std::pair<char, nanoseconds>> order;
  const auto start = lax.now();
  lax.set_tolerance(100ms);
  lax.set(timer::setting_type::at(start + 10ms, 50ms));
  strict.expires_at(start + 60ms);
  begin_wait(strict, [&](auto, auto) { order.emplace_back('s', strict.now() - start); });
  begin_wait(lax, [&](auto, auto e) {
    order.emplace_back('l', lax.now() - start);
    CHECK(e.expirations == 2);  // the count is exact, and so is the phase
    CHECK(e.scheduled == start + 60ms);
  });
  world.time.run_until_idle();
  CHECK(order == std::vector<std::pair<char, nanoseconds>>{{'l', 60ms}, {'s', 60ms}});
  begin_wait(lax, [&](auto, auto e) {
    order.emplace_back('l', lax.now() - start);
    CHECK(e.expirations == 3);
    CHECK(e.scheduled == start + 210ms);
  });
  world.time.run_until_idle();
  CHECK(order.back() == std::pair<char, nanoseconds>{'l', 210ms});
  chime::error_code ec;
  lax.set_tolerance(-1ns, ec);
  CHECK(ec.value() == EINVAL);
  lax.set_tolerance(0ns);
  begin_wait(lax, [&](auto, auto) { order.emplace_back('l', lax.now() - start); });
  world.time.run_until_idle();
  CHECK(order.back() == std::pair<char, nanoseconds>{'l', 260ms});
}

TEST_CASE("E6 neither asking a timer nor another tolerance moves it behind its equals") {
  virtual_world world;
  timer a{world.context};
  timer b{world.context};
  std::string order;
  const auto deadline = a.now() + 1s;
  a.expires_at(deadline);
  b.expires_at(deadline);
  a.get();
  a.try_take();
  a.set_tolerance(5ms);
  a.set_tolerance(0ns);
  begin_wait(b, [&](auto, auto) { order += 'b'; });
  begin_wait(a, [&](auto, auto) { order += 'a'; });
  world.time.advance(1s);
  CHECK(order == "ab");
}

TEST_CASE("E6 equal deadlines leave in the order armed, whatever their tolerances") {
  virtual_world world;
  std::vector<timer> timers;
  for (int i = 0; i < 8; ++i) timers.emplace_back(world.context);
  const nanoseconds tolerances[] = {5ms, 0ns, 3ms, 0ns, 9ms, 1ns, 0ns, 5ms};
  std::string order;
  const auto deadline = timers[0].now() + 1s;
  for (std::size_t i = 0; i < timers.size(); ++i) {
    timers[i].set_tolerance(tolerances[i]);
    timers[i].expires_at(deadline);
    begin_wait(timers[i], [&, i](auto, auto) { order += static_cast<char>('0' + i); });
  }
  SUBCASE("woken for those without one") { world.time.advance(1s); }
  SUBCASE("woken long after") { world.time.advance(2s); }
  SUBCASE("armed anew, one is behind the others") {
    timers[2].expires_at(deadline);
    world.time.advance(1s);
    CHECK(order == "01345672");
    return;
  }
  CHECK(order == "01234567");
}

TEST_CASE("E6 asking a timer that is due does not serve it before those due earlier") {
  asio::io_context context;
  timer a{context};
  timer b{context};
  timer c{context};
  std::string order;
  const auto deadline = a.now() + 1ms;
  b.expires_at(deadline);
  c.expires_at(deadline);
  a.expires_at(deadline - 1us);
  begin_wait(c, [&](auto, auto) { order += 'c'; });
  begin_wait(b, [&](auto, auto) { order += 'b'; });
  begin_wait(a, [&](auto, auto) { order += 'a'; });
  support::until_due(c);
  context.run();
  CHECK(order == "abc");
}

TEST_CASE("handlers that are ready are not hidden behind one that runs the context itself") {
  asio::io_context context;
  timer a{context};
  timer b{context};
  bool second = false;
  const auto deadline = a.now() + 1ms;
  a.expires_at(deadline);
  b.expires_at(deadline);
  begin_wait(a, [&](auto, auto) { support::run_until(context, [&] { return second; }); });
  begin_wait(b, [&](auto, auto) { second = true; });
  context.run();
  CHECK(second);
}

TEST_CASE("a context runs out of work after a handler has thrown, though the clock is watched") {
  asio::io_context context;
  chime::basic_timer<user::timerfd<realtime_clock>> t{context};
  t.expires_after(1ms);
  begin_wait(t, [](auto, auto) { throw 42; });
  CHECK_THROWS_AS(context.run(), int);
  context.restart();
  context.run_for(support::slack);
  CHECK(context.stopped());
}

#if !defined(BOOST_ASIO_HAS_IO_URING)  // where what Asio does by itself is counted, too
TEST_CASE("a wait is one handler of its context") {
  asio::io_context context;
  chime::basic_timer<user::timerfd<monotonic_clock>> t{context};
  for (int i = 0; i < 3; ++i) {
    outcome<monotonic_clock> seen;
    t.expires_after(1ms);
    t.async_wait(seen.handler());
    CHECK(context.run() == 1);
    CHECK(seen.calls == 1);
    context.restart();
  }
}
#endif

TEST_CASE("a wait that is begun while the context is destroyed is dropped") {
  struct late {
    std::shared_ptr<timer> t;
    ~late() {
      if (t) t->async_wait([t = t](auto, auto) {});
    }
  };
  asio::io_context context;
  auto t = std::make_shared<timer>(context);
  t->expires_after(1h);
  auto other = std::make_shared<timer>(context);
  t->async_wait([t, l = std::make_shared<late>(other)](auto, auto) {});
}

TEST_CASE("one line that is always due does not starve the others, nor a tolerance its timer") {
  asio::io_context context;
  std::vector<std::unique_ptr<timer>> flood;
  bool stop = false;
  std::function<void(timer&)> again = [&](timer& t) {
    begin_wait(t, [&](chime::error_code ec, auto) {
      if (!ec && !stop) again(t);
    });
  };
  for (int i = 0; i < 500; ++i) {
    flood.push_back(std::make_unique<timer>(context));
    flood.back()->expires_every(1ns);
    again(*flood.back());
  }
  chime::basic_timer<user::timerfd<realtime_clock>> other{context};
  timer lax{context};
  lax.set_tolerance(1ms);
  int served = 0;
  other.expires_at(other.now() + 5ms);
  lax.expires_after(5ms);
  begin_wait(other, [&](auto, auto) { ++served; });
  begin_wait(lax, [&](auto, auto) { ++served; });
  support::run_until(context, [&] { return served == 2; });
  stop = true;
}

TEST_CASE("waits that are begun and cancelled for ever starve no timer") {
  for (const bool is_on_strand :
       {false, true}) {  // there a turn of the engine's ends with each handler
    CAPTURE(is_on_strand);
    asio::io_context context;
    const asio::any_io_executor executor =
        is_on_strand ? asio::any_io_executor{asio::make_strand(context)} : context.get_executor();
    std::array<timer, 2> restless{timer{executor}, timer{executor}};
    bool stop = false;
    std::function<void(timer&)> again = [&](timer& t) {
      begin_wait(t, [&](auto, auto) {
        if (!stop) again(t);
      });
      t.cancel();
    };
    for (timer& t : restless) again(t);
    timer other{context};
    outcome<monotonic_clock> seen;
    other.expires_after(5ms);
    begin_wait(other, seen.handler());
    support::run_until(context, [&] { return seen.calls == 1; });
    stop = true;
  }
}

TEST_CASE("a negative default tolerance is EINVAL") {
  asio::io_context context;
  CHECK_THROWS_AS(chime::configure_engine(context, {.tolerance = -1ns}), chime::system_error);
}

TEST_CASE("a flood of timers that are always due does not starve the context") {
  asio::io_context context;
  std::vector<std::unique_ptr<timer>> timers;
  std::uint64_t served = 0;
  bool stop = false;
  std::function<void(timer&)> again = [&](timer& t) {
    begin_wait(t, [&](chime::error_code ec, auto) {
      if (ec || stop) return;
      ++served;
      again(t);
    });
  };
  for (int i = 0; i < 1000; ++i) {
    timers.push_back(std::make_unique<timer>(context));
    timers.back()->expires_every(1ns);
    again(*timers.back());
  }
  int turns = 0;
  std::uint64_t longest = 0;
  std::uint64_t before = 0;
  std::function<void()> turn = [&] {
    longest = std::max(longest, served - before);
    before = served;
    if (served != 0) ++turns;  // a thread of the system's may have to wake the engine first
    if (turns == 100)
      stop = true;
    else
      asio::post(context, turn);
  };
  asio::post(context, turn);
  const auto patience = std::chrono::steady_clock::now() + support::slack;
  while (turns < 100) {
    REQUIRE(context.run_one_for(support::slack) == 1);
    REQUIRE((served != 0 || std::chrono::steady_clock::now() < patience));
  }
  // A handler that was posted waits for no more than what was ready before it.
  CHECK(longest <= 3000);
  CHECK(served > 1'000);
}

TEST_CASE("many threads: every expiration is accounted for, and none is early") {
  asio::io_context context;
  constexpr int count = 64;
  struct account {
    explicit account(asio::io_context& c) : t{asio::make_strand(c)} {}
    timer t;
    monotonic_clock::time_point first;
    nanoseconds interval;
    std::uint64_t reported = 0;
    bool early = false;
    bool shifted = false;
  };
  std::vector<std::unique_ptr<account>> accounts;
  std::atomic<bool> stop = false;
  std::function<void(account&)> again = [&](account& a) {
    begin_wait(a.t, [&](chime::error_code ec, auto e) {
      if (ec) return;
      a.reported += e.expirations;
      a.early = a.early || monotonic_clock::now() < e.scheduled;
      a.shifted = a.shifted || e.scheduled != a.first + (a.reported - 1) * a.interval;
      if (!stop) again(a);
    });
  };
  for (int i = 0; i < count; ++i) {
    auto& a = *accounts.emplace_back(std::make_unique<account>(context));
    a.interval = 50us + 13us * i;
    a.first = monotonic_clock::now() + 1ms;
    a.t.set(timer::setting_type::at(a.first, a.interval));
    again(a);
  }
  timer end{context};
  end.expires_after(200ms);
  begin_wait(end, [&](auto, auto) { stop = true; });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { context.run(); });
  for (auto& thread : threads) thread.join();
  for (const auto& a : accounts) {
    const auto before = monotonic_clock::now();
    if (const auto rest = a->t.try_take()) a->reported += rest->expirations;
    const auto after = monotonic_clock::now();
    const auto by = [&](auto when) {
      return chime::rules::expirations_by(a->first.time_since_epoch(), a->interval,
                                          when.time_since_epoch());
    };
    CHECK(a->reported >= by(before));
    CHECK(a->reported <= by(after));
    CHECK_FALSE(a->early);
    CHECK_FALSE(a->shifted);
  }
}

TEST_CASE("many threads: setting, cancelling and destroying at any moment loses no handler") {
  asio::io_context context;
  auto work = asio::make_work_guard(context);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run(); });
  auto random = support::seeded("engine, many threads");
  std::atomic<int> called = 0;
  int begun = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<timer> timers;
    for (int i = 0; i < 8; ++i) timers.emplace_back(context);
    for (int i = 0; i < 60; ++i) {
      timer& t = timers[support::pick(random, std::size_t{0}, timers.size() - 1)];
      switch (random() % 5) {
        case 0: t.expires_after(nanoseconds{random() % 200'000}); break;
        case 1: t.expires_every(nanoseconds{1 + random() % 50'000}); break;
        case 2: t.cancel(); break;
        default: ++begun; begin_wait(t, [&](auto, auto) { ++called; });
      }
    }
  }
  work.reset();
  for (auto& thread : threads) thread.join();
  CHECK(called == begun);
}

TEST_CASE("the context may be told that it has but one thread") {
  asio::io_context context;
  chime::configure_engine(context, {.single_threaded = true});
  timer t{context};
  int beats = 0;
  t.expires_every(100us);
  std::function<void(chime::error_code, chime::expiry<monotonic_clock>)> again = [&](auto ec,
                                                                                     auto) {
    REQUIRE(!ec);
    if (++beats < 20) begin_wait(t, again);
  };
  begin_wait(t, again);
  context.run();
  CHECK(beats == 20);
}

TEST_CASE("more than a core can do: all is accounted for, and others get their turn") {
  asio::io_context context;
  constexpr std::size_t count = 3'000;
  constexpr nanoseconds interval = 100us;
  const auto first = monotonic_clock::now() + 50ms;
  std::vector<std::uint64_t> reported(count);
  std::vector<std::uint64_t> by_rule(count);
  bool stop = false;
  const auto beat = [&](std::size_t i) -> asio::awaitable<void> {
    timer t{co_await asio::this_coro::executor};
    const auto mine = first + nanoseconds{i % 7 * 111};
    t.set(timer::setting_type::at(mine, interval));
    do {
      const auto e = co_await t.async_wait();
      reported[i] += e.expirations;
      by_rule[i] = chime::rules::expirations_by(mine.time_since_epoch(), interval,
                                                e.scheduled.time_since_epoch());
    } while (!stop);
  };
  for (std::size_t i = 0; i < count; ++i) asio::co_spawn(context, beat(i), asio::detached);
  int turns = 0;
  std::function<void()> turn = [&] {
    ++turns;
    if (!stop) asio::post(context, turn);
  };
  asio::post(context, turn);
  timer end{context};
  end.expires_after(300ms);
  begin_wait(end, [&](auto, auto) { stop = true; });
  context.run();
  CHECK(reported == by_rule);
  CHECK(std::ranges::all_of(reported, [](auto n) { return n > 0; }));
  CHECK(turns > 3);
}

// (A fork leaves a context on io_uring behind.)
#if !defined(_WIN32) && !defined(BOOST_ASIO_HAS_IO_URING)
TEST_CASE(
    "F9 P10 I7 after a fork the child's timerfd goes on, its POSIX timer is gone, its itimer off") {
  asio::io_context context;
  timer fd{context};
  chime::basic_timer<user::posix_timer<monotonic_clock>> posix{context};
  chime::basic_timer<user::itimer<itimer_kind::real>> itimer{context};
  outcome<monotonic_clock> seen;
  fd.expires_after(20ms);
  posix.expires_after(1h);
  itimer.expires_after(1h);
  begin_wait(fd, seen.handler());
  context.poll();
  context.notify_fork(asio::execution_context::fork_prepare);
  const int child = support::in_child([&] {
    context.notify_fork(asio::execution_context::fork_child);
    chime::error_code ec;
    posix.get(ec);
    if (ec.value() != EINVAL) return 1;
    posix.expires_after(1s, ec);
    if (ec.value() != EINVAL) return 2;
    if (itimer.get().is_armed()) return 3;
    for (int i = 0; i < 1000 && seen.calls == 0; ++i) context.run_one_for(support::slack);
    if (seen.calls != 1 || seen.error || seen.expiry.expirations != 1) return 4;
    return monotonic_clock::now() >= seen.expiry.scheduled ? 0 : 5;
  });
  CHECK(child == 0);
  context.notify_fork(asio::execution_context::fork_parent);
  support::run_until(context, [&] { return seen.calls == 1; });
  CHECK(!seen.error);
  CHECK(posix.get().is_armed());
  CHECK(itimer.get().is_armed());
}
#endif
