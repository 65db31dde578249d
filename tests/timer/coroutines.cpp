// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "support/asio.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <concepts>
#include <exception>
#include <tuple>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using chime::error_code;
using chime::monotonic_clock;

using timer = chime::timerfd<monotonic_clock>;
using expiry = timer::expiry_type;

// Runs a coroutine to its end, and lets its exception out.
template <class Body>
void run(asio::io_context& context, Body body) {
  bool ended = false;
  asio::co_spawn(context, std::move(body), [&](std::exception_ptr e) {
    ended = true;
    if (e) std::rethrow_exception(e);
  });
  support::run_out(context);
  CHECK(ended);
}

}  // namespace

TEST_CASE("a coroutine awaits a wait without naming a token") {
  asio::io_context context;
  int waits = 0;
  run(context, [&]() -> asio::awaitable<void> {
    timer t{co_await asio::this_coro::executor};
    const auto deadline = monotonic_clock::now() + 1us;
    t.expires_at(deadline);
    for (; waits < 3; ++waits) {
      const expiry e = co_await t.async_wait();
      CHECK(monotonic_clock::now() >= deadline);
      CHECK(e.expirations == 1);
      t.expires_after(1us);
    }
  });
  CHECK(waits == 3);
}

TEST_CASE("a coroutine awaits with use_awaitable, as_tuple, redirect_error and deferred") {
  asio::io_context context;
  int steps = 0;
  run(context, [&]() -> asio::awaitable<void> {
    timer t{co_await asio::this_coro::executor};
    t.expires_every(20us);
    CHECK((co_await t.async_wait(asio::use_awaitable)).expirations >= 1);
    ++steps;
    const auto [ec, e] = co_await t.async_wait(asio::as_tuple(asio::use_awaitable));
    CHECK_FALSE(ec);
    CHECK(e.expirations >= 1);
    ++steps;
    const auto [ec2, e2] = co_await t.async_wait(asio::as_tuple(asio::deferred));
    CHECK_FALSE(ec2);
    CHECK(e2.expirations >= 1);
    ++steps;
    error_code ec3 = asio::error::eof;
    CHECK((co_await t.async_wait(asio::redirect_error(asio::use_awaitable, ec3))).expirations >= 1);
    CHECK_FALSE(ec3);
    ++steps;
    t.close();
    co_await t.async_wait(asio::redirect_error(asio::use_awaitable, ec3));
    CHECK(ec3 == asio::error::bad_descriptor);
    ++steps;
    bool thrown = false;
    try {
      co_await t.async_wait();
    } catch (const chime::system_error& error) {
      thrown = error.code() == asio::error::bad_descriptor;
    }
    CHECK(thrown);
    ++steps;
  });
  CHECK(steps == 6);
}

TEST_CASE("as_default_on gives a timer another default token") {
  asio::io_context context;
  using default_timer = asio::use_awaitable_t<>::as_default_on_t<timer>;
  int waits = 0;
  run(context, [&]() -> asio::awaitable<void> {
    default_timer t{co_await asio::this_coro::executor};
    t.expires_after(1us);
    asio::awaitable<expiry> wait = t.async_wait();
    CHECK((co_await std::move(wait)).expirations == 1);
    ++waits;
    auto moved = asio::use_awaitable.as_default_on(timer{co_await asio::this_coro::executor});
    static_assert(std::same_as<decltype(moved), default_timer>);
    moved.expires_after(1us);
    CHECK((co_await moved.async_wait()).expirations == 1);
    ++waits;
    using tuple_timer = asio::as_tuple_t<asio::use_awaitable_t<>>::as_default_on_t<timer>;
    tuple_timer tuple{std::move(moved)};
    tuple.expires_after(1us);
    const auto [ec, e] = co_await tuple.async_wait();
    CHECK_FALSE(ec);
    CHECK(e.expirations == 1);
    ++waits;
    using deferred_timer = asio::deferred_t::as_default_on_t<timer>;
    deferred_timer deferred{std::move(tuple)};
    deferred.expires_after(1us);
    CHECK((co_await deferred.async_wait()).expirations == 1);
    ++waits;
  });
  CHECK(waits == 4);
}

TEST_CASE("W3 || cancels the wait that is slower, which loses nothing") {
  asio::io_context context;
  int steps = 0;
  run(context, [&]() -> asio::awaitable<void> {
    const auto executor = co_await asio::this_coro::executor;
    timer soon{executor};
    timer late{executor};
    soon.expires_after(1us);
    late.expires_after(1h);
    const auto first =
        co_await (soon.async_wait(asio::use_awaitable) || late.async_wait(asio::use_awaitable));
    CHECK(first.index() == 0);
    ++steps;
    support::make_due(late);
    soon.expires_after(1h);
    const auto second =
        co_await (soon.async_wait(asio::use_awaitable) || late.async_wait(asio::use_awaitable));
    CHECK(second.index() == 1);
    ++steps;
    // Both due at once: each expiration is either reported or still there.
    support::make_due(soon);
    support::make_due(late);
    const auto both =
        co_await (soon.async_wait(asio::use_awaitable) || late.async_wait(asio::use_awaitable));
    timer& loser = both.index() == 0 ? late : soon;
    timer& winner = both.index() == 0 ? soon : late;
    CHECK_FALSE(winner.try_take());
    CHECK((co_await loser.async_wait()).scheduled == timer::time_point{1ns});
    ++steps;
  });
  CHECK(steps == 3);
}

TEST_CASE("&& waits for both") {
  asio::io_context context;
  int steps = 0;
  run(context, [&]() -> asio::awaitable<void> {
    const auto executor = co_await asio::this_coro::executor;
    timer a{executor};
    timer b{executor};
    a.expires_after(1us);
    b.expires_after(2us);
    const auto [x, y] =
        co_await (a.async_wait(asio::use_awaitable) && b.async_wait(asio::use_awaitable));
    CHECK(x.expirations == 1);
    CHECK(y.expirations == 1);
    ++steps;
  });
  CHECK(steps == 1);
}

TEST_CASE("a timeout around a wait of two timers is cancelled through the operators") {
  asio::io_context context;
  int steps = 0;
  run(context, [&]() -> asio::awaitable<void> {
    const auto executor = co_await asio::this_coro::executor;
    timer a{executor};
    timer b{executor};
    timer timeout{executor};
    a.expires_after(1us);
    timeout.expires_after(1ms);
    const auto first =
        co_await ((a.async_wait(asio::use_awaitable) && b.async_wait(asio::use_awaitable)) ||
                  timeout.async_wait(asio::use_awaitable));
    CHECK(first.index() == 1);
    ++steps;
  });
  CHECK(steps == 1);
}

TEST_CASE("a coroutine that is cancelled while it waits ends, and may go on waiting elsewhere") {
  for (const auto type : {asio::cancellation_type::terminal, asio::cancellation_type::partial,
                          asio::cancellation_type::total}) {
    asio::io_context context;
    timer t{context};
    t.expires_after(1h);
    asio::cancellation_signal signal;
    error_code seen;
    bool ended = false;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
          co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
          std::tie(seen, std::ignore) = co_await t.async_wait(asio::as_tuple(asio::deferred));
        },
        asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr) { ended = true; }));
    context.poll();
    CHECK_FALSE(ended);
    signal.emit(type);
    support::run_out(context);
    CHECK(ended);
    CHECK(seen == asio::error::operation_aborted);
    CHECK(t.get().is_armed());
  }
}

TEST_CASE("a coroutine on a strand wakes on that strand") {
  asio::io_context context;
  auto strand = asio::make_strand(context);
  timer t{context};
  t.expires_every(20us);
  int waits = 0;
  asio::co_spawn(
      strand,
      [&]() -> asio::awaitable<void> {
        for (; waits < 5; ++waits) {
          co_await t.async_wait();
          CHECK(strand.running_in_this_thread());
        }
      },
      asio::detached);
  support::run_out(context);
  CHECK(waits == 5);
}

TEST_CASE(
    "a context that is destroyed takes a coroutine along that waits in it for a timer of its own") {
  bool destroyed = false;
  struct note {
    bool& gone;
    ~note() { gone = true; }
  };
  {
    asio::io_context context;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
          const note at_end{destroyed};
          timer t{co_await asio::this_coro::executor};
          co_await (t.async_wait(asio::use_awaitable) && t.async_wait(asio::use_awaitable));
        },
        asio::detached);
    context.poll();
    CHECK_FALSE(destroyed);
  }
  CHECK(destroyed);
}
