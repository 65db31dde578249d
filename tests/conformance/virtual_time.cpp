// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// virtual_time itself.
#include "worlds.hpp"

#include "support/cpu_seconds.hpp"

#include <chime/rules.hpp>
#include <chime/sleep.hpp>
#include <chime/timerfd.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace conformance;

namespace {

using timer = chime::timerfd<monotonic_clock>;

// Wine's completion ports take a hundred times as long.
#if defined(_WIN32)
constexpr std::uint64_t crowd = 20;
#else
constexpr std::uint64_t crowd = 1000;
#endif

// One entry an expiration: when, which timer, how many.
using trace = std::vector<std::pair<nanoseconds, std::uint64_t>>;

asio::awaitable<void> beat(std::uint64_t which, nanoseconds period, trace& out) {
  timer t{co_await asio::this_coro::executor};
  t.expires_every(period);
  for (;;) {
    const auto e = co_await t.async_wait();
    CHECK(e.scheduled == t.now());
    out.emplace_back(e.scheduled.time_since_epoch(), which * 1000 + e.expirations);
  }
}

trace simulated_week() {
  trace out;
  virtual_world world;
  for (std::uint64_t i = 0; i < crowd; ++i)
    asio::co_spawn(world.time.get_executor(), beat(i, 40min + i * 7s + nanoseconds{i}, out),
                   asio::detached);
  world.time.advance(std::chrono::weeks{1});
  return out;
}

}  // namespace

TEST_CASE("a simulated week with 1000 periodic timers gives the same trace in every run") {
  const trace first = simulated_week();
  CHECK(first == simulated_week());
  std::uint64_t by_rule = 0;
  for (std::uint64_t i = 0; i < crowd; ++i) {
    const nanoseconds period = 40min + i * 7s + nanoseconds{i};
    by_rule += chime::rules::expirations_by(period, period, std::chrono::weeks{1});
  }
  std::uint64_t reported = 0;
  for (const auto& entry : first) reported += entry.second % 1000;
  CHECK(reported == by_rule);
}

TEST_CASE("timers of the default facility are virtual") {
  virtual_world world;
  timer t{world.context};
  outcome<monotonic_clock> seen;
  t.expires_after(std::chrono::years{1});
  begin_wait(t, seen.handler());
  world.pass(std::chrono::years{1});
  CHECK(seen.calls == 1);
#if defined(__linux__)
  CHECK(t.native_handle() == -1);
#endif
}

TEST_CASE("time is virtual for good, and stands once nobody can move it") {
  asio::io_context context;
  std::optional<chime::virtual_time> time{context};
  timer t{context};
  t.expires_after(1ms);
  const auto before = t.now();
  time.reset();
  CHECK(t.now() == before);
  time.emplace(context);
  CHECK(time->now<monotonic_clock>() == before);
  time->advance(1ms);
  CHECK(t.is_ready());
}

TEST_CASE("EBUSY where engine-kept timers go by the system's clocks") {
  asio::io_context context;
  chime::basic_timer<user::timerfd<monotonic_clock>> t{context};
  try {
    chime::virtual_time time{context};
    FAIL("installed");
  } catch (const chime::system_error& e) {
    CHECK(e.code() == boost::system::errc::device_or_resource_busy);
  }
}

TEST_CASE("the clocks begin where they are told") {
  asio::io_context context;
  using std::chrono::sys_days;
  using std::chrono::year;
  chime::virtual_time time{context, {.realtime = sys_days{year{2038} / 1 / 19}, .monotonic = 5s}};
  CHECK(time.now<realtime_clock>() == sys_days{year{2038} / 1 / 19});
  CHECK(time.now<monotonic_clock>().time_since_epoch() == 5s);
  CHECK(time.now<tai_clock>().time_since_epoch() - time.now<realtime_clock>().time_since_epoch() ==
        37s);
  CHECK(time.now<chime::process_cpu_clock>().time_since_epoch() == 0s);
  time.advance_to(sys_days{year{2038} / 1 / 20});
  CHECK(time.now<monotonic_clock>().time_since_epoch() == 24h + 5s);
  time.advance_to(sys_days{year{2000} / 1 / 1});  // past: nothing happens
  CHECK(time.now<realtime_clock>() == sys_days{year{2038} / 1 / 20});
}

TEST_CASE(
    "advance stops at each deadline on the way, and handlers may set timers for the rest of it") {
  virtual_world world;
  timer a{world.context};
  timer b{world.context};
  std::vector<nanoseconds> seen;
  const auto start = a.now();
  a.expires_after(10s);
  begin_wait(a, [&](auto, auto) {
    seen.push_back(a.now() - start);
    b.expires_after(5s);
    begin_wait(b, [&](auto, auto) { seen.push_back(b.now() - start); });
  });
  world.time.advance(1min);
  CHECK(seen == std::vector<nanoseconds>{10s, 15s});
  CHECK(a.now() - start == 1min);
}

TEST_CASE("run_until_idle: a program that ends takes no real time at all") {
  virtual_world world;
  int rounds = 0;
  asio::co_spawn(
      world.time.get_executor(),
      [&]() -> asio::awaitable<void> {
        timer t{co_await asio::this_coro::executor};
        for (; rounds < 365; ++rounds) {
          t.expires_after(24h);
          co_await t.async_wait();
        }
      },
      asio::detached);
  const auto start = world.time.now<monotonic_clock>();
  CHECK(world.time.run_until_idle() > 365);
  CHECK(rounds == 365);
  CHECK(world.time.now<monotonic_clock>() - start == std::chrono::days{365});
}

TEST_CASE(
    "run_until_idle finds whoever waits, in whatever order they expire, at no more cost for it") {
  constexpr std::size_t count = 10 * crowd;
  const auto cost = [&](bool last_first) {
    virtual_world world;
    std::vector<std::optional<timer>> timers(count);
    std::size_t served = 0;
    for (std::size_t i = 0; i != count; ++i) {
      timers[i].emplace(world.context).expires_after(1ms * (last_first ? count - i : i + 1));
      begin_wait(*timers[i], [&timers, &served, i](auto, auto) {
        ++served;
        if (i % 3 == 0) timers[i].reset();
        if (i % 5 == 0 && i != 0) timers[i - 1].reset();
        if (i % 7 == 0 && i + 1 != timers.size()) timers[i + 1].reset();
      });
    }
    const double seconds = support::cpu_seconds([&] { world.time.run_until_idle(); });
    CHECK(served == count);
    return seconds;
  };
  // By a search through all of them it was 30 times as long.
  CHECK(cost(true) < 8 * cost(false));
}

TEST_CASE("run_until_idle: who sleeps beside many that are parked pays nothing for them") {
  const auto cost = [](std::uint64_t parked) {
    virtual_world world;
    std::vector<timer> timers;
    for (std::uint64_t i = 0; i != parked; ++i)
      begin_wait(timers.emplace_back(world.context), [](auto, auto) {});
    std::uint64_t rounds = 0;
    asio::co_spawn(
        world.time.get_executor(),
        [&]() -> asio::awaitable<void> {
          for (; rounds != 2 * crowd; ++rounds) co_await chime::sleep_for(1ms);
        },
        asio::detached);
    const double seconds = support::cpu_seconds([&] { world.time.run_until_idle(); });
    CHECK(rounds == 2 * crowd);
    return seconds;
  };
  // 40 times as long by a search.
  CHECK(cost(10 * crowd) < 8 * cost(1));
}

TEST_CASE("run_until_idle works for coroutines that were spawned on the context itself") {
  virtual_world world;
  bool done = false;
  asio::co_spawn(
      world.context,
      [&]() -> asio::awaitable<void> {
        timer t{co_await asio::this_coro::executor};
        t.expires_after(24h);
        co_await t.async_wait();
        done = true;
      },
      asio::detached);
  world.time.run_until_idle();
  CHECK(done);
}

TEST_CASE("run_until_idle lets no time pass while real work is outstanding") {
  virtual_world world;
  timer t{world.context};
  std::vector<int> order;
  t.expires_after(1h);
  begin_wait(t, [&](auto, auto) { order.push_back(2); });

  SUBCASE("that the context knows of") {
    asio::steady_timer real{world.context, 20ms};
    real.async_wait([&](auto) { order.push_back(1); });
    world.time.run_until_idle();
    CHECK(order == std::vector{1, 2});
  }
  SUBCASE("that takes long, and the program is on the executor for it") {
    (void)world.time.get_executor();
    world.time.patience(1ms);
    asio::steady_timer real{world.context, 20ms};
    real.async_wait([&](auto) { order.push_back(1); });
    world.time.run_until_idle();
    CHECK(order == std::vector{1, 2});
  }
  SUBCASE("that is over without a handler") {
    (void)world.time.get_executor();
    world.time.patience(1h);
    std::atomic<bool> is_over = false;
    auto work = std::make_optional(asio::make_work_guard(world.context));
    std::thread elsewhere{[&] {
      std::this_thread::sleep_for(20ms);
      is_over = true;
      work.reset();
    }};
    timer sooner{world.context};
    sooner.expires_after(1min);
    begin_wait(sooner, [&](auto, auto) { order.push_back(is_over ? 1 : 0); });
    world.time.run_until_idle();
    elsewhere.join();
    CHECK(order == std::vector{1, 2});
  }
  SUBCASE("that is held") {
    std::thread elsewhere;
    {
      auto held = std::make_shared<chime::virtual_time::hold>(world.time);
      elsewhere = std::thread{[&, held = std::move(held)]() mutable {
        asio::steady_timer::clock_type::time_point end = std::chrono::steady_clock::now() + 20ms;
        while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
        asio::post(world.context, [&] { order.push_back(1); });
        held.reset();
      }};
    }
    world.time.run_until_idle();
    elsewhere.join();
    CHECK(order == std::vector{1, 2});
  }
}

TEST_CASE("run_until_idle: waits that stand in line are no work") {
  virtual_world world;
  (void)world.time.get_executor();
  const auto strand = asio::make_strand(world.context);
  timer of_context{world.context};
  timer of_strand{strand};
  int rounds = 0;
  for (auto* t : {&of_context, &of_strand}) {
    t->expires_every(1h);
    for (int i = 0; i < 2; ++i) {
      begin_wait(*t, [&](auto, auto) { ++rounds; });
      t->async_wait(asio::bind_executor(strand, [&](auto, auto) { ++rounds; }));
    }
  }
  std::promise<void> idle;
  std::thread watch{[&] {  // it might wait for ever
    if (idle.get_future().wait_for(support::slack) != std::future_status::ready)
      asio::post(world.context, [&] { world.context.stop(); });
  }};
  world.time.run_until_idle();
  idle.set_value();
  watch.join();
  CHECK(rounds == 8);
}

TEST_CASE("run_until_idle without auto-advance only runs what is ready") {
  virtual_world world;
  timer t{world.context};
  outcome<monotonic_clock> seen;
  t.expires_after(1h);
  begin_wait(t, seen.handler());
  int posted = 0;
  asio::post(world.context, [&] { ++posted; });
  world.time.auto_advance(false);
  world.time.run_until_idle();
  CHECK(posted == 1);
  CHECK(seen.calls == 0);
  world.time.auto_advance(true);
  world.time.run_until_idle();
  CHECK(seen.calls == 1);
}

TEST_CASE("run_until_idle does not run after timers nobody waits for, nor after a disarmed one") {
  virtual_world world;
  timer armed{world.context};
  timer disarmed{world.context};
  outcome<monotonic_clock> seen;
  armed.expires_after(1h);
  begin_wait(disarmed, seen.handler());
  const auto start = armed.now();
  world.time.run_until_idle();
  CHECK(seen.calls == 0);
  CHECK(armed.now() == start);
}

TEST_CASE("a plain run() serves what is due, and no more") {
  virtual_world world;
  timer t{world.context};
  outcome<monotonic_clock> seen;
  t.expires_after(1h);
  begin_wait(t, seen.handler());
  world.context.run();
  CHECK(seen.calls == 0);
  t.expires_at(t.now() - 1s);
  world.context.restart();
  world.context.run();
  CHECK(seen.calls == 1);
}

TEST_CASE("a handler that stops the context ends run_until_idle and advance") {
  virtual_world world;
  timer t{world.context};
  int beats = 0;
  t.expires_every(1s);
  std::function<void(chime::error_code, chime::expiry<monotonic_clock>)> again = [&](auto, auto) {
    if (++beats % 10 == 0) world.context.stop();
    t.async_wait(again);
  };
  t.async_wait(again);
  world.time.run_until_idle();
  CHECK(beats == 10);
  world.time.advance(1h);
  CHECK(beats == 20);
}

TEST_CASE("a handler of real work that stops the context ends run_until_idle") {
  virtual_world world;
  timer t{world.context};
  outcome<monotonic_clock> seen;
  t.expires_after(1h);
  begin_wait(t, seen.handler());
  SUBCASE("where it is known to be real") { (void)world.time.get_executor(); }
  SUBCASE("where it showed itself") {}
  asio::steady_timer real{world.context, 1ms};
  real.async_wait([&](auto) { world.context.stop(); });
  world.time.run_until_idle();
  CHECK(seen.calls == 0);
  world.time.run_until_idle();
  CHECK(seen.calls == 1);
}
