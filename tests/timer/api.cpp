// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "support/asio.hpp"

#include <chime/shim/timerfd.hpp>
#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <concepts>
#include <cstdio>
#include <type_traits>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::monotonic_clock;
using chime::nanoseconds;
using support::run_out;
using support::until_due;

using timer = chime::timerfd<monotonic_clock>;
using setting = timer::setting_type;
using io_executor = asio::io_context::executor_type;
using outcome = support::outcome<monotonic_clock>;

// The setting runs, with no more than `value` left, and has this interval.
template <class Clock>
void check_running(const chime::setting<Clock>& seen, nanoseconds value, nanoseconds interval) {
  CHECK(seen.value > 0ns);
  CHECK(seen.value <= value);
  CHECK(seen.value > value - support::slack);
  CHECK(seen.interval == interval);
  CHECK_FALSE(seen.is_absolute());
}

// Everything a moved timer must still do.
template <class Timer>
void check_works(asio::io_context& context, Timer& t) {
  REQUIRE(t.is_open());
  t.expires_after(1us);
  outcome seen;
  t.async_wait(seen.handler());
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK_FALSE(seen.error);
  CHECK(seen.expiry.expirations == 1);
}

}  // namespace

TEST_CASE("a timer opens disarmed, from an executor or a context") {
  asio::io_context context;
  timer from_context{context};
  timer from_executor{context.get_executor()};
  chime::error_code ec = asio::error::eof;
  timer from_context_ec{context, ec};
  CHECK_FALSE(ec);
  ec = asio::error::eof;
  timer from_executor_ec{context.get_executor(), ec};
  CHECK_FALSE(ec);
  for (timer* t : {&from_context, &from_executor, &from_context_ec, &from_executor_ec}) {
    CHECK(t->is_open());
    CHECK(t->get() == setting::disarmed());
    CHECK(t->get_executor() == context.get_executor());
    check_works(context, *t);
  }
}

TEST_CASE("a descriptor is non-blocking and not inherited across exec" *
          doctest::test_suite("kernel")) {
  asio::io_context context;
  timer t{context};
  CHECK(t.native_handle() >= 0);
  CHECK((::fcntl(t.native_handle(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(t.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("each way to set a timer returns the old setting") {
  asio::io_context context;
  timer t{context};
  CHECK(t.expires_after(1h) == setting::disarmed());
  check_running(t.expires_every(2h), 1h, 0ns);
  check_running(t.expires_at(monotonic_clock::now() + 3h), 2h, 2h);
  check_running(t.set(setting::after(4h, 7ms)), 3h, 0ns);
  check_running(t.get(), 4h, 7ms);
  check_running(t.disarm(), 4h, 7ms);
  CHECK(t.disarm() == setting::disarmed());
}

TEST_CASE("each way to set a timer has a form with an error_code") {
  asio::io_context context;
  timer t{context};
  chime::error_code ec = asio::error::eof;
  const auto ok = [&ec] { return !std::exchange(ec, asio::error::eof); };
  CHECK(t.expires_after(1h, ec) == setting::disarmed());
  CHECK(ok());
  check_running(t.expires_every(2h, ec), 1h, 0ns);
  CHECK(ok());
  check_running(t.expires_at(monotonic_clock::now() + 3h, ec), 2h, 2h);
  CHECK(ok());
  check_running(t.expires_at(monotonic_clock::now() + 4h, chime::cancel_on_clock_set, ec), 3h, 0ns);
  CHECK(ok());
  check_running(t.set(setting::after(5h, 7ms), ec), 4h, 0ns);
  CHECK(ok());
  check_running(t.get(ec), 5h, 7ms);
  CHECK(ok());
  check_running(t.disarm(ec), 5h, 7ms);
  CHECK(ok());
  CHECK_FALSE(t.try_take(ec));
  CHECK(ok());
  t.expires_after(1us);
  CHECK(t.wait(ec).expirations == 1);
  CHECK(ok());
}

TEST_CASE_TEMPLATE("a timer is set in any combination of value, interval, reference and step",
                   Clock, monotonic_clock, chime::boottime_clock, chime::realtime_clock) {
  asio::io_context context;
  chime::timerfd<Clock> t{context};
  auto before = t.get();
  int combinations = 0;
  for (const nanoseconds value : {0ns, nanoseconds{1h}}) {
    for (const nanoseconds interval : {0ns, nanoseconds{5ms}}) {
      for (const bool absolute : {false, true}) {
        for (const auto step : {chime::on_clock_set::follow, chime::on_clock_set::cancel}) {
          CAPTURE(value.count());
          CAPTURE(interval.count());
          CAPTURE(absolute);
          auto wanted = chime::setting<Clock>::after(value, interval);
          wanted.on_clock_set = step;
          if (absolute) {
            wanted.counted_from = chime::reference::absolute;
            if (value > 0ns) wanted.value += Clock::now().time_since_epoch();
          }
          const auto old = t.set(wanted);
          // The old setting is the one before: as it was read, less the time since.
          CHECK(old.interval == before.interval);
          CHECK(old.value <= before.value);
          CHECK(old.is_armed() == before.is_armed());
          before = t.get();
          if (value > 0ns)
            check_running(before, value, interval);
          else
            CHECK(before == chime::setting<Clock>::after(0ns, interval));  // F5
          ++combinations;
        }
      }
    }
  }
  CHECK(combinations == 16);
}

TEST_CASE("an alarm clock takes deadlines of the clock that it reads") {
  asio::io_context context;
  chime::error_code ec;
  chime::timerfd<chime::realtime_alarm_clock> t{context, ec};
  if (ec == chime::error_code{EPERM, boost::system::system_category()}) {
    std::puts("SKIPPED: no CAP_WAKE_ALARM");
    return;
  }
  REQUIRE_FALSE(ec);
  const auto deadline = chime::realtime_clock::now();
  t.expires_at(deadline, chime::cancel_on_clock_set);
  const auto seen = t.wait();
  CHECK(seen.expirations == 1);
  CHECK(seen.scheduled == deadline);
}

TEST_CASE("try_take takes what expired, once, and never waits") {
  asio::io_context context;
  timer t{context};
  CHECK_FALSE(t.try_take());
  t.expires_after(1h);
  CHECK_FALSE(t.try_take());
  t.expires_after(1us);
  until_due(t);
  const auto taken = t.try_take();
  REQUIRE(taken);
  CHECK(taken->expirations == 1);
  CHECK(taken->overrun() == 0);
  CHECK_FALSE(t.try_take());
}

TEST_CASE("wait blocks until the timer expires, and takes") {
  asio::io_context context;
  timer t{context};
  const auto deadline = monotonic_clock::now() + 2ms;
  t.expires_at(deadline);
  const auto seen = t.wait();
  CHECK(monotonic_clock::now() >= deadline);
  CHECK(seen.expirations == 1);
  CHECK(seen.scheduled == deadline);
  CHECK_FALSE(t.try_take());
}

TEST_CASE("cancel without a wait, and twice, does nothing") {
  asio::io_context context;
  timer t{context};
  t.expires_after(1h);
  t.cancel();
  t.cancel();
  check_running(t.get(), 1h, 0ns);
  check_works(context, t);
}

TEST_CASE("close gives the descriptor back to the system, and may be called again") {
  asio::io_context context;
  timer t{context};
  const int fd = t.native_handle();
  t.close();
  CHECK_FALSE(t.is_open());
  CHECK(t.native_handle() == -1);
  CHECK(::fcntl(fd, F_GETFD) == -1);
  t.close();
  CHECK_FALSE(t.is_open());
}

TEST_CASE("release gives the descriptor to the caller, armed and with its count" *
          doctest::test_suite("kernel")) {
  asio::io_context context;
  timer t{context};
  t.expires_every(1h);
  t.set(setting::at(timer::time_point{1ns}, 1h));
  until_due(t);
  const int fd = t.native_handle();
  const chime::shim::descriptor mine{t.release()};
  CHECK(mine.get() == fd);
  CHECK_FALSE(t.is_open());
  CHECK(t.native_handle() == -1);
  CHECK(t.release() == -1);
  const auto left = chime::shim::timerfd_gettime(mine.get());
  REQUIRE(left.has_value());
  CHECK(left->it_interval.tv_sec == 3600);
  const auto count = chime::shim::timerfd_read(mine.get());
  REQUIRE(count.has_value());
  CHECK(*count >= 1);
}

TEST_CASE("a moved timer keeps its setting, its count and its executor; what is left is closed") {
  asio::io_context context;
  timer a{context};
  const int fd = a.native_handle();
  support::make_due(a);
  timer b{std::move(a)};
  // NOLINTBEGIN(bugprone-use-after-move)
  CHECK_FALSE(a.is_open());
  CHECK(a.get_executor() == context.get_executor());
  CHECK(b.native_handle() == fd);
  const auto taken = b.try_take();
  REQUIRE(taken);
  CHECK(taken->scheduled == timer::time_point{1ns});
  check_works(context, b);

  timer c{context};
  const int closed = c.native_handle();
  c = std::move(b);
  CHECK_FALSE(b.is_open());
  CHECK(c.native_handle() == fd);
  CHECK(::fcntl(closed, F_GETFD) == -1);
  check_works(context, c);

  a = std::move(c);
  CHECK(a.native_handle() == fd);
  check_works(context, a);
  // NOLINTEND(bugprone-use-after-move)
}

TEST_CASE("a timer that is moved to itself stays as it is") {
  asio::io_context context;
  timer t{context};
  const int fd = t.native_handle();
  timer& same = t;
  t = std::move(same);
  CHECK(t.native_handle() == fd);
  check_works(context, t);
}

TEST_CASE("a timer moves to another executor type wherever the executor does") {
  asio::io_context context;
  chime::timerfd<monotonic_clock, io_executor> plain{context};
  const int fd = plain.native_handle();
  plain.expires_every(1h);

  timer any{std::move(plain)};
  CHECK(any.native_handle() == fd);
  check_running(any.get(), 1h, 1h);
  check_works(context, any);

  using strand_type = asio::strand<io_executor>;
  chime::timerfd<monotonic_clock, strand_type> on_strand{strand_type{context.get_executor()}};
  check_works(context, on_strand);
  const int other = on_strand.native_handle();
  any = std::move(on_strand);
  CHECK(any.native_handle() == other);
  CHECK(::fcntl(fd, F_GETFD) == -1);
  CHECK(any.get_executor().target_type() == typeid(strand_type));
  check_works(context, any);

  static_assert(!std::is_constructible_v<decltype(plain), timer&&>);
  static_assert(!std::is_assignable_v<decltype(plain)&, timer&&>);
}

TEST_CASE("rebind_executor names the same timer on another executor") {
  asio::io_context context;
  using rebound = timer::rebind_executor<io_executor>::other;
  static_assert(std::same_as<rebound, chime::timerfd<monotonic_clock, io_executor>>);
  static_assert(std::same_as<rebound::executor_type, io_executor>);
  rebound t{context};
  check_works(context, t);
}

TEST_CASE("the token of a wait is deferred where none is given") {
  asio::io_context context;
  timer t{context};
  static_assert(std::same_as<chime::default_wait_token<asio::any_io_executor>, asio::deferred_t>);
  static_assert(std::same_as<chime::default_wait_token<io_executor>, asio::deferred_t>);
  auto later = t.async_wait();  // begins nothing yet
  context.poll();
  CHECK(context.stopped());
  t.expires_after(1us);
  outcome seen;
  std::move(later)(seen.handler());
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK_FALSE(seen.error);
}

TEST_CASE("an expiry and a setting are plain values") {
  static_assert(std::is_trivially_copyable_v<timer::expiry_type>);
  static_assert(std::is_trivially_copyable_v<setting>);
  static_assert(std::is_nothrow_move_constructible_v<timer>);
  static_assert(std::is_nothrow_move_assignable_v<timer>);
  static_assert(!std::is_copy_constructible_v<timer>);
  static_assert(!std::is_copy_assignable_v<timer>);
  static_assert(std::same_as<timer::clock_type, monotonic_clock>);
  static_assert(std::same_as<timer::executor_type, asio::any_io_executor>);
  const timer::expiry_type nothing;
  CHECK(nothing.expirations == 0);
  CHECK(nothing.overrun() == 0);
}
