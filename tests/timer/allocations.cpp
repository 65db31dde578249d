// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// In steady state a periodic wait allocates nothing.
#include "heap.hpp"
#include "support/asio.hpp"

#include <chime/timerfd.hpp>
#include <chime/user/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <new>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::monotonic_clock;

constexpr int warm_up = 20;
constexpr int steady = 1000;

// Counts a loop's waits, and the allocations between the last of the warm-up and the last of all.
class meter {
 public:
  // Whether to go on.
  bool tick() {
    ++waits_;
    if (waits_ == warm_up) before_ = heap_allocations();
    if (waits_ < warm_up + steady) return true;
    allocations_ = heap_allocations() - before_;
    return false;
  }

  void check() const {
    REQUIRE(waits_ == warm_up + steady);
    CHECK(allocations_ == 0);
  }

 private:
  int waits_ = 0;
  std::uint64_t before_ = 0;
  std::uint64_t allocations_ = 0;
};

// A callback that waits again until the meter has seen enough.
template <class Timer>
struct again {
  Timer& timer;
  meter& seen;

  void operator()(chime::error_code, typename Timer::expiry_type) {
    if (seen.tick()) timer.async_wait(again{*this});
  }
};

template <class Timer>
asio::awaitable<void> await_again(Timer& timer, meter& seen) {
  do co_await timer.async_wait();
  while (seen.tick());
}

template <class Timer>
asio::awaitable<void> use_awaitable_again(Timer& timer, meter& seen) {
  do co_await timer.async_wait(asio::use_awaitable);
  while (seen.tick());
}

template <class Timer>
void check_loops(asio::io_context& context, Timer& t) {
  t.expires_every(5us);
  SUBCASE("of a callback") {
    meter seen;
    t.async_wait(again<Timer>{t, seen});
    support::run_out(context);
    seen.check();
  }
  SUBCASE("of a coroutine") {
    meter seen;
    asio::co_spawn(t.get_executor(), await_again(t, seen), asio::detached);
    support::run_out(context);
    seen.check();
  }
  SUBCASE("of a coroutine with use_awaitable") {
    meter seen;
    asio::co_spawn(t.get_executor(), use_awaitable_again(t, seen), asio::detached);
    support::run_out(context);
    seen.check();
  }
}

}  // namespace

TEST_CASE("a periodic wait allocates nothing in steady state, in a loop") {
  asio::io_context context;
  chime::timerfd<monotonic_clock> t{context};
  check_loops(context, t);
}

TEST_CASE("nor on the context's own executor type, in a loop") {
  asio::io_context context;
  chime::timerfd<monotonic_clock, asio::io_context::executor_type> t{context};
  check_loops(context, t);
}

TEST_CASE("nor on a context with one thread, in a loop") {
  asio::io_context context{1};
  chime::timerfd<monotonic_clock> t{context};
  check_loops(context, t);
}

TEST_CASE("setting, asking and taking allocate nothing") {
  asio::io_context context;
  chime::timerfd<monotonic_clock> t{context};
  const auto before = heap_allocations();
  int taken = 0;
  for (int i = 0; i < 100; ++i) {
    t.expires_after(1ns);
    taken += t.wait().expirations == 1;
    t.get();
    t.try_take();
    t.expires_every(1h);
    t.disarm();
  }
  const auto after = heap_allocations();
  CHECK(taken == 100);
  CHECK(after == before);
}

namespace {

// On one thread, which has memory again when it runs the context.
template <class Timer, class Executor>
void check_cancelled_without_memory(asio::io_context& context, const Executor& executor) {
  Timer t{executor};
  Timer other{executor};  // it goes on waiting
  t.expires_after(1h);
  other.expires_after(10ms);
  int cancelled = 0;
  int expired = 0;
  t.async_wait([&](chime::error_code ec, auto) {
    CHECK_EQ(ec, asio::error::operation_aborted);
    ++cancelled;
  });
  other.async_wait([&](chime::error_code ec, auto) {
    CHECK_FALSE(ec);
    ++expired;
  });
  {
    const no_memory none;
    t.cancel();
  }
  CHECK_EQ(cancelled, 0);
  support::run_out(context);
  CHECK_EQ(cancelled, 1);
  CHECK_EQ(expired, 1);
}

}  // namespace

TEST_CASE("a wait can be cancelled when there is no memory, kept by the kernel or by the engine") {
  using kernel_kept = chime::timerfd<monotonic_clock>;
  using engine_kept = chime::basic_timer<chime::user::timerfd<monotonic_clock>>;
  asio::io_context context;
  SUBCASE("kernel") {
    check_cancelled_without_memory<kernel_kept>(context, context.get_executor());
  }
  SUBCASE("engine") {
    check_cancelled_without_memory<engine_kept>(context, context.get_executor());
  }
  SUBCASE("engine, on a strand") {
    check_cancelled_without_memory<engine_kept>(context, asio::make_strand(context));
  }
}

TEST_CASE("without memory a tolerance stays what it was, and so does the timer") {
  using engine_kept = chime::basic_timer<chime::user::timerfd<monotonic_clock>>;
  asio::io_context context;
  engine_kept t{context};
  int expired = 0;
  t.expires_after(10ms);
  t.async_wait([&](chime::error_code ec, auto) {
    CHECK_FALSE(ec);
    ++expired;
  });
  t.set_tolerance(1h);
  {
    const no_memory none;
    CHECK_THROWS_AS(t.set_tolerance(2h), std::bad_alloc);
    CHECK_EQ(expired, 0);
    t.set_tolerance(0ns);  // this takes none
  }
  support::run_out(context);
  CHECK_EQ(expired, 1);
}
