// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "support/asio.hpp"
#include "support/tracking.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/resource.h>

#include <chrono>
#include <initializer_list>
#include <limits>
#include <ratio>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using chime::nanoseconds;
using support::run_out;

// The monotonic clock may have begun only a moment ago: deadlines long past are on the wall clock.
using timer = chime::timerfd<chime::realtime_clock>;
using clock_type = timer::clock_type;
using setting = timer::setting_type;

error_code errno_code(int value) { return {value, boost::system::system_category()}; }

// Calls `f`, which must throw a system_error, and returns its code.
template <class Function>
error_code thrown_by(Function f) {
  try {
    f();
  } catch (const chime::system_error& e) {
    return e.code();
  }
  return {};
}

// Makes each call that a timer has, in both forms, and checks the error of each.
void check_each_call_fails(timer& t, error_code expected) {
  const std::initializer_list<void (*)(timer&, error_code&)> calls{
      [](timer& x, error_code& ec) { CHECK(x.set(setting::after(1s), ec) == setting{}); },
      [](timer& x, error_code& ec) { CHECK(x.expires_after(1s, ec) == setting{}); },
      [](timer& x, error_code& ec) { CHECK(x.expires_every(1s, ec) == setting{}); },
      [](timer& x, error_code& ec) { CHECK(x.expires_at(clock_type::now(), ec) == setting{}); },
      [](timer& x, error_code& ec) { CHECK(x.disarm(ec) == setting{}); },
      [](timer& x, error_code& ec) { CHECK(x.get(ec) == setting{}); },
      [](timer& x, error_code& ec) { CHECK_FALSE(x.try_take(ec)); },
      [](timer& x, error_code& ec) { CHECK(x.wait(ec).expirations == 0); },
  };
  for (const auto call : calls) {
    error_code ec;
    call(t, ec);
    CHECK(ec == expected);
  }
  const std::initializer_list<void (*)(timer&)> throwing_calls{
      [](timer& x) { x.set(setting::after(1s)); },
      [](timer& x) { x.expires_after(1s); },
      [](timer& x) { x.expires_every(1s); },
      [](timer& x) { x.expires_at(clock_type::now()); },
      [](timer& x) { x.disarm(); },
      [](timer& x) { x.get(); },
      [](timer& x) { x.try_take(); },
      [](timer& x) { x.wait(); },
  };
  for (const auto call : throwing_calls) CHECK(thrown_by([&] { call(t); }) == expected);
}

// Sets the timer in a way that must be refused; the earlier setting must stand, with its count.
template <class Set>
void check_refused(Set set) {
  asio::io_context context;
  timer t{context};
  const auto first = clock_type::now() - 90min;
  t.set(setting::at(first, 1h));
  support::until_due(t);
  error_code ec;
  CHECK(set(t, ec) == setting{});
  CHECK(ec == errno_code(EINVAL));
  CHECK(ec == chime::error::invalid_argument());
  const auto now = t.get();
  CHECK(now.interval == 1h);
  CHECK(now.value <= 30min);
  CHECK(now.value > 30min - support::slack);
  const auto kept = t.try_take();
  REQUIRE(kept);
  CHECK(kept->expirations == 2);
  CHECK(kept->scheduled == first + 1h);
}

}  // namespace

TEST_CASE("E9 a negative value or interval is EINVAL, and the earlier setting stands") {
  check_refused([](timer& t, error_code& ec) { return t.expires_after(-1ns, ec); });
  check_refused([](timer& t, error_code& ec) { return t.expires_after(-1h, ec); });
  check_refused([](timer& t, error_code& ec) { return t.expires_after(nanoseconds::min(), ec); });
  check_refused([](timer& t, error_code& ec) { return t.expires_every(-1ns, ec); });
  check_refused([](timer& t, error_code& ec) { return t.expires_every(nanoseconds::min(), ec); });
  check_refused([](timer& t, error_code& ec) { return t.expires_at(timer::time_point{-1ns}, ec); });
  check_refused(
      [](timer& t, error_code& ec) { return t.expires_at(timer::time_point::min(), ec); });
  check_refused([](timer& t, error_code& ec) { return t.set(setting::after(1s, -1ns), ec); });
  check_refused([](timer& t, error_code& ec) { return t.set(setting::after(-1ns, 1s), ec); });
  check_refused(
      [](timer& t, error_code& ec) { return t.set(setting::at(clock_type::now(), -1ns), ec); });
  check_refused([](timer& t, error_code& ec) {
    return t.set(setting::at(timer::time_point{-1ns}, 0ns), ec);
  });
  // Even where the value disarms.
  check_refused([](timer& t, error_code& ec) { return t.set(setting::after(0ns, -1ns), ec); });
}

TEST_CASE("a duration that is not a number is EINVAL, and the earlier setting stands") {
  using real = std::chrono::duration<double>;
  static constexpr real nan{std::numeric_limits<double>::quiet_NaN()};
  check_refused([](timer& t, error_code& ec) { return t.expires_after(nan, ec); });
  check_refused([](timer& t, error_code& ec) { return t.expires_every(nan, ec); });
  check_refused([](timer& t, error_code& ec) {
    return t.expires_at(std::chrono::time_point<timer::time_point::clock, real>{nan}, ec);
  });
}

TEST_CASE("bad input is thrown as system_error where no error_code is given") {
  asio::io_context context;
  timer t{context};
  const auto einval = errno_code(EINVAL);
  CHECK(thrown_by([&] { t.expires_after(-1ns); }) == einval);
  CHECK(thrown_by([&] { t.expires_every(-1ns); }) == einval);
  CHECK(thrown_by([&] { t.expires_at(timer::time_point{-1ns}); }) == einval);
  CHECK(thrown_by([&] { t.set(setting::after(1s, -1ns)); }) == einval);
  CHECK(thrown_by([&] {
          t.expires_after(std::chrono::duration<float>{std::numeric_limits<float>::quiet_NaN()});
        }) == einval);
  CHECK(t.get() == setting::disarmed());
}

TEST_CASE_TEMPLATE("C5 a clock that timerfd does not keep is EINVAL", Clock, chime::tai_clock,
                   chime::process_cpu_clock, chime::thread_cpu_clock) {
  asio::io_context context;
  error_code ec;
  chime::timerfd<Clock> t{context, ec};
  CHECK(ec == errno_code(EINVAL));
  CHECK_FALSE(t.is_open());
  CHECK(t.native_handle() == -1);
  CHECK(thrown_by([&] { chime::timerfd<Clock>{context}; }) == errno_code(EINVAL));
  CHECK(thrown_by([&] { chime::timerfd<Clock>{context.get_executor()}; }) == errno_code(EINVAL));
}

TEST_CASE("where there is no room for another descriptor, opening says EMFILE" *
          doctest::test_suite("kernel")) {
  asio::io_context context;
  timer first{context};  // whatever the context opens once, it has opened now
  ::rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  ::rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  error_code ec;
  timer t{context, ec};
  const error_code thrown = thrown_by([&] { timer{context}; });
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(ec == errno_code(EMFILE));
  CHECK(thrown == errno_code(EMFILE));
  CHECK_FALSE(t.is_open());
}

TEST_CASE("every call on a timer that is closed, released or moved from says EBADF") {
  asio::io_context context;
  const auto ebadf = errno_code(EBADF);
  timer closed{context};
  closed.close();
  check_each_call_fails(closed, ebadf);

  timer released{context};
  const chime::shim::descriptor mine{released.release()};
  check_each_call_fails(released, ebadf);

  timer moved{context};
  const timer taken{std::move(moved)};
  check_each_call_fails(moved, ebadf);  // NOLINT(bugprone-use-after-move)
  moved.cancel();

  error_code ec;
  chime::timerfd<chime::tai_clock> never_open{context, ec};
  ec = {};
  never_open.get(ec);
  CHECK(ec == ebadf);
}

TEST_CASE("bad input on a closed timer is EBADF") {
  asio::io_context context;
  timer t{context};
  t.close();
  const auto ebadf = errno_code(EBADF);
  CHECK(thrown_by([&] { t.expires_after(-1s); }) == ebadf);
  CHECK(thrown_by([&] { t.set_tolerance(-1s); }) == ebadf);
  const std::chrono::duration<double> nan{std::numeric_limits<double>::quiet_NaN()};
  CHECK(thrown_by([&] { t.expires_after(nan); }) == ebadf);
  CHECK(thrown_by([&] { t.expires_every(nan); }) == ebadf);
  CHECK(
      thrown_by([&] {
        t.expires_at(
            std::chrono::time_point<timer::time_point::clock, std::chrono::duration<double>>{nan});
      }) == ebadf);
}

TEST_CASE("a wait on a closed timer completes with EBADF, posted, on the handler's executor") {
  asio::io_context context;
  timer t{context};
  t.close();
  support::executor_log log;
  const support::tracking_executor executor{context, log};
  int calls = 0;
  const auto handler = [&](error_code ec, timer::expiry_type e) {
    ++calls;
    CHECK_FALSE(support::initiation_guard::is_initiating());
    CHECK(log.is_running() == (calls == 2));
    CHECK(ec == errno_code(EBADF));
    CHECK(e.expirations == 0);
  };
  {
    const support::initiation_guard guard;
    t.async_wait(handler);
    t.async_wait(asio::bind_executor(executor, handler));
    CHECK(calls == 0);
  }
  context.run_one();
  CHECK(calls == 1);
  run_out(context);
  CHECK(calls == 2);
  CHECK(log.work == 0);
}

TEST_CASE("a wait on a closed timer begun by a running handler is not called inline either") {
  asio::io_context context;
  timer t{context};
  t.close();
  int calls = 0;
  t.async_wait([&](error_code, timer::expiry_type) {
    const support::initiation_guard guard;
    t.async_wait([&](error_code ec, timer::expiry_type) {
      ++calls;
      CHECK(ec == errno_code(EBADF));
      CHECK_FALSE(support::initiation_guard::is_initiating());
    });
    CHECK(calls == 0);
  });
  run_out(context);
  CHECK(calls == 1);
}
