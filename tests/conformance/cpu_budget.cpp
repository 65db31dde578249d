// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// An operation with a budget of CPU time, in virtual time: the test uses the CPU.
#include "worlds.hpp"

#include <chime/cpu_budget.hpp>
#include <chime/timerfd.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include <cerrno>
#include <exception>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>

using namespace conformance;

namespace {

/// Waits so long; says whether it was cancelled.
asio::awaitable<std::string> nap(nanoseconds length) {
  chime::timerfd<monotonic_clock> t{co_await asio::this_coro::executor};
  t.expires_after(length);
  co_await t.async_wait();
  co_return "slept";
}

asio::awaitable<void> fail() {
  co_await nap(1ms);
  throw std::runtime_error{"its own"};
}

struct fixture : virtual_world {
  std::optional<std::string> result;
  std::exception_ptr failed;

  template <class Clock = chime::process_cpu_clock>
  void run(auto limit, asio::awaitable<std::string> operation) {
    asio::co_spawn(context, chime::cpu_budget<Clock>(limit, std::move(operation)),
                   [this](std::exception_ptr e, std::string s) {
                     failed = e;
                     if (!e) result = s;
                   });
    pass(0ns);
  }
  [[nodiscard]] chime::error_code error() const {
    try {
      if (failed) std::rethrow_exception(failed);
    } catch (const chime::system_error& e) {
      return e.code();
    }
    return {};
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "cpu_budget: an operation that needs less gives its result") {
  run(std::chrono::duration<double>{0.1}, nap(1h));
  time.use_cpu(60ms, 39ms);
  pass(59min);
  CHECK_FALSE(result);
  pass(1min);
  REQUIRE(result);
  CHECK(*result == "slept");
}

TEST_CASE_FIXTURE(fixture, "cpu_budget: used up, it ends the operation with an error of its own") {
  run(100ms, nap(1h));
  pass(30min);
  time.use_cpu(60ms, 40ms - 1ns);
  CHECK_FALSE(failed);
  time.use_cpu(0ns, 1ns);
  pass(0ns);
  CHECK_FALSE(result);
  CHECK(error() == chime::error::cpu_budget_exhausted());
  CHECK(error().category().name() == std::string{"chime"});
  CHECK(error().message() == "CPU budget exhausted");
}

TEST_CASE_FIXTURE(fixture, "cpu_budget: of a thread") {
  run<chime::thread_cpu_clock>(100ms, nap(1h));
  time.use_cpu(100ms);
  pass(0ns);
  CHECK(error() == chime::error::cpu_budget_exhausted());
}

TEST_CASE_FIXTURE(fixture, "cpu_budget: an exception of the operation comes through") {
  std::exception_ptr e;
  asio::co_spawn(context, chime::cpu_budget(1s, fail()), [&](std::exception_ptr p) { e = p; });
  pass(1ms);
  REQUIRE(e);
  CHECK_THROWS_WITH_AS(std::rethrow_exception(e), "its own", std::runtime_error);
}

TEST_CASE_FIXTURE(fixture, "cpu_budget: none runs nothing, a negative one and a NaN are EINVAL") {
  run(0ns, nap(1h));
  CHECK(error() == chime::error::cpu_budget_exhausted());
  run(-1ns, nap(1h));
  CHECK(error().value() == EINVAL);
  failed = nullptr;
  run(std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()}, nap(1h));
  CHECK(error().value() == EINVAL);
}

TEST_CASE_FIXTURE(fixture, "cpu_budget: cancelling the caller cancels the operation") {
  asio::cancellation_signal stop;
  asio::co_spawn(context, chime::cpu_budget(1s, nap(1h)),
                 asio::bind_cancellation_slot(
                     stop.slot(), [&](std::exception_ptr e, const std::string&) { failed = e; }));
  pass(1ms);
  stop.emit(asio::cancellation_type::terminal);
  pass(1ms);
  CHECK(error() == asio::error::operation_aborted);
}
