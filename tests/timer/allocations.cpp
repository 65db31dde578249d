// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// In steady state a periodic wait allocates nothing.
#include "heap.hpp"
#include "support/asio.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdint>

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
