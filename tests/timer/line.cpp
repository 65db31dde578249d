// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// W2: several waits outstanding for one timer.
#include "support/asio.hpp"
#include "support/on_its_way.hpp"
#include "support/tracking.hpp"

#include <chime/shim/timerfd.hpp>
#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using chime::monotonic_clock;
using support::run_out;
using support::run_until;

using timer = chime::timerfd<monotonic_clock>;
using setting = timer::setting_type;
using expiry = timer::expiry_type;
using outcome = support::outcome<monotonic_clock>;
using outcomes = std::array<outcome, 5>;

template <class Timer>
void begin_all(Timer& t, outcomes& seen) {
  for (auto& one : seen) t.async_wait(one.handler());
}

int completed(const outcomes& seen) {
  int n = 0;
  for (const auto& one : seen) n += one.calls;
  return n;
}

void check_all_aborted(const outcomes& seen) {
  for (const auto& one : seen) {
    CHECK(one.calls == 1);
    CHECK(one.error == asio::error::operation_aborted);
    CHECK(one.expiry.expirations == 0);
  }
}

}  // namespace

TEST_CASE("W2 waits are served in the order in which they were begun, one expiry each") {
  asio::io_context context;
  timer t{context};
  outcomes seen;
  begin_all(t, seen);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const timer::time_point deadline{std::chrono::nanoseconds{i + 1}};
    t.expires_at(deadline);
    run_until(context, [&] { return completed(seen) > static_cast<int>(i); });
    CHECK(seen[i].calls == 1);
    CHECK(seen[i].expiry.expirations == 1);
    CHECK(seen[i].expiry.scheduled == deadline);
    context.poll();  // nobody else is served of it
    CHECK(completed(seen) == static_cast<int>(i) + 1);
  }
}

TEST_CASE("W2 E4 of a periodic timer each expiration goes to exactly one wait, in phase") {
  asio::io_context context;
  timer t{context};
  const auto first = monotonic_clock::now() + 100us;
  t.set(setting::at(first, 50us));
  std::uint64_t total = 0;
  int waits = 0;
  std::vector<int> order;
  std::function<void(int)> wait = [&](int who) {
    t.async_wait([&, who](error_code ec, expiry e) {
      CHECK_FALSE(ec);
      CHECK(e.expirations >= 1);
      total += e.expirations;
      CHECK(e.scheduled == first + (total - 1) * 50us);
      order.push_back(who);
      if (++waits <= 60) wait(who);  // goes behind those in line
    });
  };
  for (int who = 0; who < 4; ++who) wait(who);
  run_out(context);
  REQUIRE(order.size() == 64);
  for (std::size_t i = 0; i < order.size(); ++i) CHECK(order[i] == static_cast<int>(i % 4));
}

TEST_CASE("W2 callbacks, coroutines and strands stand in one line") {
  asio::io_context context;
  timer t{context};
  auto strand = asio::make_strand(context);
  support::executor_log log;
  const support::tracking_executor tracked{context, log};
  std::vector<int> order;
  const auto coroutine = [&](int who) -> asio::awaitable<void> {
    co_await t.async_wait();
    order.push_back(who);
  };
  t.async_wait([&](error_code, expiry) { order.push_back(0); });
  asio::co_spawn(context, coroutine(1), asio::detached);
  context.poll();  // the coroutine has begun its wait
  t.async_wait(asio::bind_executor(strand, [&](error_code, expiry) {
    CHECK(strand.running_in_this_thread());
    order.push_back(2);
  }));
  asio::co_spawn(strand, coroutine(3), asio::detached);
  context.poll();
  t.async_wait(asio::bind_executor(tracked, [&](error_code, expiry) {
    CHECK(log.is_running());
    order.push_back(4);
  }));
  CHECK(order.empty());
  t.expires_every(20us);
  run_out(context);
  CHECK(order == std::vector{0, 1, 2, 3, 4});
  CHECK(log.work == 0);
}

TEST_CASE("W2 a handler that waits anew goes behind those in line") {
  asio::io_context context;
  timer t{context};
  std::vector<int> order;
  t.async_wait([&](error_code, expiry) {
    order.push_back(0);
    t.async_wait([&](error_code, expiry) { order.push_back(3); });
  });
  t.async_wait([&](error_code, expiry) { order.push_back(1); });
  t.async_wait([&](error_code, expiry) { order.push_back(2); });
  t.expires_every(20us);
  run_out(context);
  CHECK(order == std::vector{0, 1, 2, 3});
}

TEST_CASE("W2 W3 a wait that is begun between a handler's turns is behind those in line as well") {
  asio::io_context context;
  timer t{context};
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    t.async_wait([&order, i](error_code, expiry) { order.push_back(i); });
  }
  support::make_due(t);
  run_until(context, [&] { return order.size() == 1; });
  // The turn has been handed to 1, which has not begun at the kernel yet.
  t.async_wait([&order](error_code, expiry) { order.push_back(3); });
  t.expires_every(20us);
  run_out(context);
  CHECK(order == std::vector{0, 1, 2, 3});
}

TEST_CASE("W3 cancel ends every wait, and neither the setting nor a count is lost") {
  asio::io_context context;
  timer t{context};
  outcomes seen;
  t.expires_every(1h);
  begin_all(t, seen);
  context.poll();
  t.cancel();
  CHECK(completed(seen) == 0);  // never inline
  run_out(context);
  check_all_aborted(seen);
  CHECK(t.get().interval == 1h);
  support::make_due(t);
  t.cancel();
  CHECK(t.wait().scheduled == timer::time_point{1ns});
}

TEST_CASE("W3 cancel ends waits of which nothing has run yet") {
  asio::io_context context;
  timer t{context};
  outcomes seen;
  begin_all(t, seen);
  t.cancel();
  run_out(context);
  check_all_aborted(seen);
}

TEST_CASE(
    "W3 cancel ends a wait whose turn has come but that has not begun, and none begun after") {
  asio::io_context context;
  timer t{context};
  outcome first;
  outcome second;
  outcome third;
  outcome after;
  t.async_wait(first.handler());
  t.async_wait(second.handler());
  t.async_wait(third.handler());
  support::make_due(t);
  run_until(context, [&] { return first.calls == 1; });
  CHECK(second.calls == 0);
  t.cancel();
  t.async_wait(after.handler());
  support::make_due(t);
  run_out(context);
  CHECK(second.error == asio::error::operation_aborted);
  CHECK(third.error == asio::error::operation_aborted);
  CHECK(after.calls == 1);
  CHECK_FALSE(after.error);
  CHECK(after.expiry.expirations == 1);
}

TEST_CASE("W3 a wait on its way when cancel is called takes nothing: the next wait does") {
  asio::io_context context;
  timer t{context};
  outcome seen;
  outcome next;
  support::on_its_way way;
  t.async_wait(way.bind(seen.handler()));
  context.poll();
  way.make_ready(context, t);
  t.cancel();
  t.async_wait(next.handler());
  way.arrive();
  CHECK(seen.calls == 1);
  CHECK(seen.error == asio::error::operation_aborted);
  run_out(context);
  CHECK(next.calls == 1);
  CHECK_FALSE(next.error);
  CHECK(next.expiry.expirations == 1);
}

TEST_CASE("W4 close, release, assignment and destruction end every wait with operation_aborted") {
  asio::io_context context;
  for (int way = 0; way < 4; ++way) {
    CAPTURE(way);
    std::optional<timer> t{context};
    outcomes seen;
    t->expires_after(1h);
    begin_all(*t, seen);
    context.restart();
    context.poll();
    chime::shim::descriptor released;
    switch (way) {
      case 0: t->close(); break;
      case 1: released = chime::shim::descriptor{t->release()}; break;
      case 2: *t = timer{context}; break;
      case 3: t.reset(); break;
    }
    CHECK(completed(seen) == 0);
    run_out(context);
    check_all_aborted(seen);
    if (released.get() == -1) continue;  // by the engine there is none
    const auto left = chime::shim::timerfd_gettime(released.get());
    REQUIRE(left.has_value());
    CHECK(left->it_value.tv_sec > 3500);
  }
}

TEST_CASE("W4 closing ends a wait on its way, too") {
  asio::io_context context;
  std::optional<timer> t{context};
  outcome seen;
  outcome other;
  support::on_its_way way;
  t->async_wait(way.bind(seen.handler()));
  t->async_wait(other.handler());
  context.poll();
  way.make_ready(context, *t);
  t.reset();
  way.arrive();
  CHECK(seen.calls == 1);
  CHECK(seen.error == asio::error::operation_aborted);
  CHECK(seen.expiry.expirations == 0);
  run_out(context);
  CHECK(other.error == asio::error::operation_aborted);
}

TEST_CASE("W4 closing ends a wait whose turn has come but that has not begun") {
  asio::io_context context;
  std::optional<timer> t{context};
  outcome first;
  outcome second;
  t->async_wait(first.handler());
  t->async_wait(second.handler());
  support::make_due(*t);
  run_until(context, [&] { return first.calls == 1; });
  t.reset();
  run_out(context);
  CHECK(second.calls == 1);
  CHECK(second.error == asio::error::operation_aborted);
}

TEST_CASE("a timer may be destroyed in its own handler, with others in line") {
  asio::io_context context;
  auto t = std::make_unique<timer>(context);
  outcome other;
  int calls = 0;
  t->async_wait([&](error_code ec, expiry e) {
    CHECK_FALSE(ec);
    CHECK(e.expirations == 1);
    ++calls;
    t.reset();
  });
  t->async_wait(other.handler());
  t->expires_after(1us);
  run_out(context);
  CHECK(calls == 1);
  CHECK(other.calls == 1);
  CHECK(other.error == asio::error::operation_aborted);
}

TEST_CASE("a timer that its handlers own lives until the last of them has run") {
  asio::io_context context;
  auto t = std::make_shared<timer>(context);
  const std::weak_ptr<timer> watch = t;
  int calls = 0;
  for (int i = 0; i < 3; ++i) t->async_wait([t, &calls](error_code, expiry) { ++calls; });
  t->expires_every(20us);
  t.reset();
  run_out(context);
  CHECK(calls == 3);
  CHECK(watch.expired());
}

TEST_CASE("a handler that owns the last of the timer ends it for the others") {
  asio::io_context context;
  auto t = std::make_shared<timer>(context);
  outcome other;
  t->async_wait([keep = t](error_code ec, expiry) { CHECK_FALSE(ec); });
  t->async_wait(other.handler());
  t->expires_after(1us);
  t.reset();
  run_out(context);
  CHECK(other.calls == 1);
  CHECK(other.error == asio::error::operation_aborted);
}

TEST_CASE("a timer may be moved while waits are outstanding: they go along") {
  asio::io_context context;
  timer a{context};
  outcomes seen;
  begin_all(a, seen);
  context.poll();
  timer b{std::move(a)};
  std::vector<timer> many;
  many.push_back(std::move(b));
  for (int i = 0; i < 4; ++i) many.emplace_back(context);  // moves it about
  a = std::move(many.front());
  CHECK(completed(seen) == 0);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    a.expires_after(1us);
    run_until(context, [&] { return completed(seen) > static_cast<int>(i); });
    CHECK(seen[i].calls == 1);
    CHECK_FALSE(seen[i].error);
  }
}

TEST_CASE("waits that were begun on one executor type go on when the timer moves to another") {
  asio::io_context context;
  chime::timerfd<monotonic_clock, asio::io_context::executor_type> plain{context};
  outcomes seen;
  begin_all(plain, seen);
  timer any{std::move(plain)};
  any.expires_every(20us);
  run_out(context);
  for (const auto& one : seen) {
    CHECK(one.calls == 1);
    CHECK_FALSE(one.error);
  }
}

TEST_CASE("W2 expirations pending before the waits are begun go to the first") {
  asio::io_context context;
  timer t{context};
  support::make_due(t);
  outcome first;
  outcome second;
  t.async_wait(first.handler());
  t.async_wait(second.handler());
  run_until(context, [&] { return first.calls == 1; });
  context.poll();
  CHECK(second.calls == 0);
  t.expires_after(1us);
  run_out(context);
  CHECK(second.calls == 1);
}

TEST_CASE("a long line is served to its end, and cancelled without recursion") {
  asio::io_context context;
  constexpr int length = 3000;
  std::optional<timer> t{context};
  int aborted = 0;
  for (int i = 0; i < length; ++i)
    t->async_wait([&](error_code ec, expiry) { aborted += ec == asio::error::operation_aborted; });
  t->cancel();
  run_out(context);
  CHECK(aborted == length);
  for (int i = 0; i < length; ++i)
    t->async_wait([&](error_code ec, expiry) { aborted += ec == asio::error::operation_aborted; });
  t.reset();
  run_out(context);
  CHECK(aborted == 2 * length);
}
