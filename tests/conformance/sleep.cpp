// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// sleep_for and sleep_until, in virtual time.
#include "worlds.hpp"

#include <chime/sleep.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <cerrno>
#include <exception>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

using namespace conformance;
using chime::sleep_for;
using chime::sleep_until;

namespace {

struct sleeper : virtual_world {
  std::optional<chime::error_code> ended;  // without an error, or with a system_error's
  asio::cancellation_signal stop;

  void sleep(asio::awaitable<void> nap) {
    ended.reset();
    asio::co_spawn(context, std::move(nap),
                   asio::bind_cancellation_slot(stop.slot(), [this](std::exception_ptr e) {
                     ended = chime::error_code{};
                     try {
                       if (e) std::rethrow_exception(e);
                     } catch (const chime::system_error& error) {
                       ended = error.code();
                     }
                   }));
    pass(0ns);
  }
  [[nodiscard]] bool is_up() const { return ended && !*ended; }
};

}  // namespace

TEST_CASE_FIXTURE(sleeper, "sleep_for: to the nanosecond, from where it is awaited (E1)") {
  asio::awaitable<void> nap = sleep_for(5s);
  pass(1h);
  sleep(std::move(nap));
  pass(5s - 1ns);
  CHECK_FALSE(ended);
  pass(1ns);
  CHECK(is_up());
}

TEST_CASE_FIXTURE(sleeper, "sleep_for: zero, or less, ends at once") {
  sleep(sleep_for(0s));
  CHECK(is_up());
  sleep(sleep_for(-1h));
  CHECK(is_up());
  sleep(sleep_for(-std::numeric_limits<double>::infinity() * 1s));
  CHECK(is_up());
  sleep(sleep_for<chime::process_cpu_clock>(0s));  // of which none has been used
  CHECK(is_up());
}

TEST_CASE_FIXTURE(sleeper, "sleep_for: rounds up (W6), never ends where that is too long (E8)") {
  sleep(sleep_for(std::chrono::duration<double, std::nano>{0.25}));
  CHECK_FALSE(ended);
  pass(1ns);
  CHECK(is_up());
  sleep(sleep_for(std::chrono::hours::max()));
  pass(24h * 365 * 200);
  CHECK_FALSE(ended);
}

TEST_CASE_FIXTURE(sleeper, "sleep_for: bad input is an error") {
  sleep(sleep_for(std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()}));
  REQUIRE(ended);
  CHECK(ended->value() == EINVAL);
}

TEST_CASE_FIXTURE(sleeper, "sleep_for: by the clock that is named (C1, C2, C3)") {
  SUBCASE("boottime counts suspend") {
    sleep(sleep_for<boottime_clock>(8h));
    time.suspend(8h);
  }
  SUBCASE("monotonic does not") {
    sleep(sleep_for(8h));
    time.suspend(10h);
    CHECK_FALSE(ended);
    pass(8h);
  }
  SUBCASE("realtime, relative: whatever it is set to") {
    sleep(sleep_for<realtime_clock>(1h));
    time.set_realtime(time.now<realtime_clock>() + 24h);
    pass(0ns);
    CHECK_FALSE(ended);
    pass(1h);
  }
  SUBCASE("the process's CPU time") {
    sleep(sleep_for<chime::process_cpu_clock>(30ms));
    pass(1h);
    CHECK_FALSE(ended);
    time.use_cpu(20ms, 10ms);
  }
  pass(0ns);
  CHECK(is_up());
}

TEST_CASE_FIXTURE(sleeper, "sleep_until: follows its clock where that is set (C2)") {
  const auto midnight = time.now<realtime_clock>() + 24h;
  sleep(sleep_until(midnight));
  pass(1h);
  time.set_realtime(midnight - 1ns);
  pass(0ns);
  CHECK_FALSE(ended);
  pass(1ns);
  CHECK(is_up());
  sleep(sleep_until(midnight));  // past
  CHECK(is_up());
  sleep(sleep_until(std::chrono::time_point_cast<std::chrono::days>(midnight) - 48h));
  CHECK(is_up());
}

TEST_CASE_FIXTURE(sleeper, "sleep_until: the epoch, what is before it, the end of time (E8)") {
  sleep(sleep_until(monotonic_clock::time_point{}));
  CHECK(is_up());
  sleep(sleep_until(realtime_clock::time_point::min()));
  CHECK(is_up());
  sleep(sleep_until(std::chrono::sys_time<std::chrono::hours>::max()));
  pass(24h * 365 * 200);
  CHECK_FALSE(ended);
}

TEST_CASE_FIXTURE(sleeper, "sleep_for: says for how long another operation may take") {
  using namespace asio::experimental::awaitable_operators;
  std::optional<std::size_t> first;
  const auto race = [&](nanoseconds left, nanoseconds right) -> asio::awaitable<void> {
    first = (co_await (sleep_for(left) || sleep_for(right))).index();
  };
  sleep(race(1h, 5s));
  pass(5s);
  CHECK(is_up());
  CHECK(first == 1);
  sleep(race(5s, 1h));
  pass(5s);
  CHECK(is_up());
  CHECK(first == 0);
}

TEST_CASE_FIXTURE(sleeper, "sleep_for: a coroutine that is cancelled wakes with an error") {
  sleep(sleep_for(1h));
  stop.emit(asio::cancellation_type::terminal);
  pass(0ns);
  REQUIRE(ended);
  CHECK(*ended == asio::error::operation_aborted);
}

TEST_CASE("sleep_for, sleep_until: in a coroutine of another executor's type") {
  virtual_world world;
  using executor = asio::io_context::executor_type;
  bool is_up = false;
  const auto nap = [&]() -> asio::awaitable<void, executor> {
    co_await sleep_for<monotonic_clock, executor>(1s);
    co_await sleep_for<monotonic_clock, executor>(0s);
    co_await sleep_until<executor>(world.time.now<realtime_clock>() + 1s);
    is_up = true;
  };
  asio::co_spawn(world.context.get_executor(), nap(),
                 [](std::exception_ptr e) { CHECK(e == nullptr); });
  world.pass(2s - 1ns);
  CHECK_FALSE(is_up);
  world.pass(1ns);
  CHECK(is_up);
}
