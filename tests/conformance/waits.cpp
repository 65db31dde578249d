// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Rules W: what the awaitable interface makes of every kind of timer.
#include "worlds.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

using namespace conformance;

#define CHIME_ALL CHIME_TIMERFDS, CHIME_POSIX_TIMERS, CHIME_REAL_ITIMERS

namespace {

/// A test case that calls it runs once for each of these.
asio::any_io_executor each_executor(asio::io_context& context) {
  asio::any_io_executor executor = context.get_executor();
  SUBCASE("on the context") {}
  SUBCASE("on a strand") { executor = asio::make_strand(context); }
  SUBCASE("on a strand of the erased executor") { executor = asio::make_strand(executor); }
  const auto counts = asio::execution::outstanding_work.tracked;
  SUBCASE("on the context, as work") { executor = asio::require(context.get_executor(), counts); }
  SUBCASE("on a strand of that") {
    executor = asio::make_strand(asio::require(context.get_executor(), counts));
  }
  return executor;
}

}  // namespace

TEST_CASE_TEMPLATE("W2 waits are served in the order in which they were begun, one each", S,
                   CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_every(1ms);
  std::vector<int> order;
  std::uint64_t total = 0;
  for (int i = 0; i < 5; ++i) {
    begin_wait(t, [&, i](chime::error_code ec, auto e) {
      REQUIRE(!ec);
      CHECK(e.expirations >= 1);
      total += e.expirations;
      order.push_back(i);
    });
  }
  world.until([&] { return order.size() == 5; });
  CHECK(order == std::vector{0, 1, 2, 3, 4});
  CHECK(total >= 5);
}

TEST_CASE_TEMPLATE("W3 a cancelled wait loses nothing", S, CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  outcome<typename S::clock> first;
  outcome<typename S::clock> second;
  asio::cancellation_signal signal;
  t.expires_after(2ms);
  t.async_wait(asio::bind_cancellation_slot(signal.slot(), first.handler()));
  begin_wait(t, second.handler());
  signal.emit(asio::cancellation_type::total);
  world.until([&] { return first.calls == 1; });
  CHECK(first.error == asio::error::operation_aborted);
  world.until([&] { return second.calls == 1; });
  CHECK(!second.error);
  CHECK(second.expiry.expirations == 1);

  t.expires_every(1ms);
  begin_wait(t, first.handler());
  t.cancel();
  world.pass(10ms);
  CHECK(first.calls == 2);
  CHECK(first.error == asio::error::operation_aborted);
  world.expect_due(t);
  const auto got = t.try_take();
  REQUIRE(got);
  CHECK(got->expirations >= 9);
}

TEST_CASE_TEMPLATE("W4 a new setting does not end a wait, closing does", S, CHIME_ALL) {
  typename S::world world;
  std::optional<typename S::timer> t{world.context};
  outcome<typename S::clock> seen;
  t->expires_after(1h);
  begin_wait(*t, seen.handler());
  world.pass(1ms);
  t->disarm();
  world.pass(1ms);
  CHECK(seen.calls == 0);
  t->expires_after(1ms);
  world.until([&] { return seen.calls == 1; });
  CHECK(seen.expiry.expirations == 1);
  t->expires_after(1h);
  begin_wait(*t, seen.handler());
  t.reset();
  world.until([&] { return seen.calls == 2; });
  CHECK(seen.error == asio::error::operation_aborted);
}

TEST_CASE_TEMPLATE("W6 a positive duration below the resolution does not disarm", S, CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_after(std::chrono::duration<double, std::nano>{0.25});
  world.pass(1ms);
  world.expect_due(t);
  CHECK(t.try_take());
  t.expires_after(0ns);
  world.pass(1ms);
  CHECK_FALSE(t.is_ready());
}

TEST_CASE_TEMPLATE("a wait that is ready completes, but not from within async_wait", S, CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_after(1us);
  world.pass(1ms);
  world.expect_due(t);
  outcome<typename S::clock> seen;
  begin_wait(t, seen.handler());
  CHECK(seen.calls == 0);
  world.until([&] { return seen.calls == 1; });
  CHECK(seen.expiry.expirations == 1);
}

TEST_CASE_TEMPLATE("a context whose waits are over runs out of work, one with a wait does not", S,
                   CHIME_ALL) {
  typename S::world world;
  if (S::world::is_virtual) return;  // there nothing comes by itself: a wait is no work
  typename S::timer t{world.context};
  t.expires_after(2ms);
  world.context.restart();
  CHECK(world.context.run() == 0);  // armed, but nobody waits
  outcome<typename S::clock> seen;
  begin_wait(t, seen.handler());
  world.context.restart();
  world.context.run();
  CHECK(seen.calls == 1);
  t.disarm();
  begin_wait(t, seen.handler());
  world.context.restart();
  world.context.run_for(5ms);
  CHECK_FALSE(world.context.stopped());
  t.cancel();
  world.context.run();
  CHECK(seen.calls == 2);
  CHECK(world.context.stopped());
}

TEST_CASE_TEMPLATE("a handler runs on its own executor: a strand, another context", S, CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_after(1ms);
  auto strand = asio::make_strand(world.context);
  int done = 0;
  t.async_wait(asio::bind_executor(strand, [&](auto ec, auto) {
    CHECK(!ec);
    CHECK(strand.running_in_this_thread());
    ++done;
  }));
  world.until([&] { return done == 1; });

  asio::thread_pool pool{1};
  std::atomic<bool> there = false;
  t.expires_after(1ms);
  t.async_wait(asio::bind_executor(pool.get_executor(), [&](auto, auto) {
    there = pool.get_executor().running_in_this_thread();
    asio::post(world.context, [] {});  // looks whether it is there
  }));
  const auto work = asio::make_work_guard(world.context);
  world.until([&] { return there.load(); });
  pool.join();
}

TEST_CASE_TEMPLATE("timers whose executor is a strand: everything runs in it", S, CHIME_ALL) {
  typename S::world world;
  auto strand = asio::make_strand(world.context);
  typename S::timer t{strand};
  int done = 0;
  t.expires_every(1ms);
  std::function<void(chime::error_code, chime::expiry<typename S::clock>)> again =
      [&](chime::error_code ec, auto) {
        REQUIRE(!ec);
        CHECK(strand.running_in_this_thread());
        if (++done < 5) begin_wait(t, again);
      };
  begin_wait(t, again);
  world.until([&] { return done == 5; });
  begin_wait(t, [&](auto ec, auto) {
    CHECK(ec == asio::error::operation_aborted);
    CHECK(strand.running_in_this_thread());
    ++done;
  });
  t.cancel();
  world.until([&] { return done == 6; });
}

TEST_CASE_TEMPLATE("a handler that throws loses nobody else's wait", S, CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  outcome<typename S::clock> seen;
  t.expires_every(1ms);
  begin_wait(t, [](auto, auto) { throw 42; });
  begin_wait(t, seen.handler());
  int caught = 0;
  for (int i = 0; i < 10'000 && seen.calls == 0; ++i) {
    try {
      world.pass(1ms);
    } catch (int thrown) {
      caught += thrown;
    }
  }
  CHECK(caught == 42);
  CHECK(seen.calls == 1);
  CHECK(!seen.error);
}

TEST_CASE_TEMPLATE("an exception leaves the context before the next handler runs", S,
                   CHIME_TIMERFDS) {
  typename S::world world;
  const auto executor = each_executor(world.context);
  typename S::timer first{executor}, second{executor};
  int calls = 0;
  for (auto* t : {&first, &second}) {
    t->expires_after(1ms);
    begin_wait(*t, [&](auto, auto) { throw ++calls; });
  }
  if constexpr (!S::world::is_virtual)
    for (auto* t : {&first, &second}) world.expect_due(*t);
  for (int i = 1; i <= 2; ++i) {
    int caught = 0;
    try {
      world.until([&] { return false; });
    } catch (int thrown) {
      caught = thrown;
    }
    CHECK(caught == i);
    CHECK(calls == i);
  }
}

#if !defined(_WIN32)  // where Asio's own contexts run on what was queued before the stop
TEST_CASE_TEMPLATE("a handler that stops the context leaves the next one for later", S,
                   CHIME_TIMERFDS) {
  typename S::world world;
  const auto executor = each_executor(world.context);
  typename S::timer first{executor}, second{executor};
  int calls = 0;
  for (auto* t : {&first, &second}) {
    t->expires_after(1ms);
    begin_wait(*t, [&](auto ec, auto) {
      CHECK(!ec);
      ++calls;
      world.context.stop();
    });
  }
  if constexpr (S::world::is_virtual) {
    world.time.advance(1ms);
  } else {
    for (auto* t : {&first, &second}) world.expect_due(*t);
    world.context.run();
  }
  CHECK(calls == 1);
  world.context.restart();
  world.until([&] { return calls == 2; });
}
#endif

TEST_CASE_TEMPLATE("a context is destroyed with waits outstanding, which own their timers", S,
                   CHIME_ALL) {
  auto world = std::make_unique<typename S::world>();
  const auto alive = std::make_shared<int>();
  {
    auto t = std::make_shared<typename S::timer>(world->context);
    t->expires_after(1h);
    begin_wait(*t, [t, alive](auto, auto) { FAIL("called"); });
    begin_wait(*t, [t, alive](auto, auto) { FAIL("called"); });
  }
  CHECK(alive.use_count() == 3);
  world.reset();
  CHECK(alive.use_count() == 1);
}

TEST_CASE_TEMPLATE("a timer may be moved and destroyed while it is waited for", S, CHIME_ALL) {
  typename S::world world;
  outcome<typename S::clock> seen;
  std::optional<typename S::timer> a{world.context};
  a->expires_after(1ms);
  begin_wait(*a, seen.handler());
  typename S::timer b{std::move(*a)};
  CHECK_FALSE(a->is_open());
  world.until([&] { return seen.calls == 1; });
  CHECK(!seen.error);
  auto own = std::make_unique<typename S::timer>(std::move(b));
  auto& t = *own;
  t.expires_after(1ms);
  t.async_wait([&, own = std::move(own)](auto ec, auto) mutable {
    CHECK(!ec);
    own.reset();
    ++seen.calls;
  });
  world.until([&] { return seen.calls == 2; });
}

TEST_CASE_TEMPLATE("wait() blocks in real time and says EDEADLK where time is virtual", S,
                   CHIME_ALL) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_after(2ms);
  chime::error_code ec;
  const auto got = t.wait(ec);
  if (S::world::is_virtual) {
    CHECK(ec.value() == EDEADLK);
    world.pass(2ms);
    CHECK(t.wait().expirations == 1);
  } else {
    CHECK(!ec);
    CHECK(got.expirations == 1);
    CHECK(t.now() >= got.scheduled);
  }
}
