// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What becomes of timers when somebody sets the clock. The clock is set for real, one nanosecond
// forward and one back: the kernel calls each a discontinuity, and nobody else can tell.
#include "support/asio.hpp"
#include "support/clock_setter.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <type_traits>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::realtime_clock;
using support::run_out;
using support::until_due;

using timer = chime::timerfd<realtime_clock>;
using setting = timer::setting_type;
using outcome = support::outcome<realtime_clock>;

// For a test case that sets the clock, or would notice that somebody else did: one at a time, on
// the whole machine.
struct alone {
  // Sets the clock, and sets it back. False, and says so, where that is not allowed.
  bool set_clock() {
    if (!clock.step()) {
      REQUIRE(errno == EPERM);
      std::puts("SKIPPED: setting the clock takes CAP_SYS_TIME");
      return false;
    }
    REQUIRE(clock.step());
    return true;
  }

  support::clock_setter clock;
};

setting in_an_hour() {
  return setting::at(realtime_clock::now() + 1h, {}, chime::cancel_on_clock_set);
}

void check_still_armed(timer& t) {
  const auto now = t.get();
  CHECK(now.value <= 1h);
  CHECK(now.value > 1h - support::slack);
}

}  // namespace

TEST_SUITE_BEGIN("clock");

TEST_CASE("W5 the error of a clock that was set is not the error of a cancelled wait") {
  const auto ec = chime::error::clock_was_set();
  CHECK(ec);
  CHECK(ec != chime::error_code{asio::error::operation_aborted});
  CHECK(ec == boost::system::errc::operation_canceled);
}

TEST_CASE_FIXTURE(
    alone,
    "F10 W5 setting the clock ends a wait that asked for it, once, and the timer stays armed") {
  asio::io_context context;
  timer t{context};
  t.set(in_an_hour());
  outcome first;
  outcome second;
  t.async_wait(first.handler());
  t.async_wait(second.handler());
  context.poll();
  if (!set_clock()) return;
  support::run_until(context, [&] { return first.calls == 1; });
  CHECK(first.error == chime::error::clock_was_set());
  CHECK(first.error != chime::error_code{asio::error::operation_aborted});
  CHECK(first.expiry.expirations == 0);
  check_still_armed(t);
  CHECK_FALSE(t.is_ready());
  context.poll();
  CHECK(second.calls == 0);  // told to one wait, once
  t.expires_after(1us);
  run_out(context);
  CHECK(second.calls == 1);
  CHECK_FALSE(second.error);
  CHECK(second.expiry.expirations == 1);
}

TEST_CASE_FIXTURE(alone, "W5 a wait begun after the clock was set is told as well") {
  asio::io_context context;
  timer t{context};
  t.set(in_an_hour());
  if (!set_clock()) return;
  outcome seen;
  t.async_wait(seen.handler());
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK(seen.error == chime::error::clock_was_set());
  check_still_armed(t);
}

TEST_CASE_FIXTURE(alone, "W5 try_take and a blocking wait are told, once") {
  asio::io_context context;
  timer t{context};
  chime::error_code ec;
  t.set(in_an_hour());
  if (!set_clock()) return;
  until_due(t);
  CHECK_FALSE(t.try_take(ec));
  CHECK(ec == chime::error::clock_was_set());
  CHECK_FALSE(t.try_take(ec));
  CHECK_FALSE(ec);
  check_still_armed(t);
  REQUIRE(set_clock());
  CHECK(t.wait(ec).expirations == 0);
  CHECK(ec == chime::error::clock_was_set());
  CHECK_FALSE(t.is_ready());
}

TEST_CASE_FIXTURE(alone, "F10 a clock that is set clears the count") {
  asio::io_context context;
  timer t{context};
  // Three expirations are due when the clock is set.
  const auto first = realtime_clock::now() - 150min;
  t.set(setting::at(first, 1h, chime::cancel_on_clock_set));
  until_due(t);
  if (!set_clock()) return;
  chime::error_code ec;
  CHECK_FALSE(t.try_take(ec));
  CHECK(ec == chime::error::clock_was_set());
  CHECK_FALSE(t.try_take(ec));
  CHECK_FALSE(ec);
  CHECK(t.get().interval == 1h);
}

// Asked how much is left, a timer goes on (F6), and so it does when the clock is set.
TEST_CASE_FIXTURE(alone, "F10 E2 what is due after the count was cleared is scheduled in phase") {
  asio::io_context context;
  timer t{context};
  constexpr auto interval =
      500ms;  // longer than a machine stalls: one that expires meanwhile stops
  const auto first = realtime_clock::now() - 3 * interval;
  t.set(setting::at(first, interval, chime::cancel_on_clock_set));
  until_due(t);
  (void)t.get();
  if (!set_clock()) return;
  chime::error_code ec;
  CHECK_FALSE(t.try_take(ec));
  CHECK(ec == chime::error::clock_was_set());
  const auto cleared = realtime_clock::now();
  REQUIRE(t.get().value > 0ns);
  const auto seen = t.wait();
  const auto now = realtime_clock::now();
  CHECK((seen.scheduled - first) % interval == 0ns);
  CHECK(seen.scheduled <= now);
  CHECK(seen.scheduled > now - interval - support::slack);
  CHECK(seen.scheduled > cleared - 2 * interval);
}

TEST_CASE_FIXTURE(
    alone,
    "F11 a setting that asks again is told that the clock was set, and is made all the same") {
  asio::io_context context;
  timer t{context};
  t.set(in_an_hour());
  if (!set_clock()) return;
  chime::error_code ec;
  CHECK(t.expires_at(realtime_clock::now() + 30min, chime::cancel_on_clock_set, ec) == setting{});
  CHECK(ec == chime::error::clock_was_set());
  const auto now = t.get();
  CHECK(now.value <= 30min);
  CHECK(now.value > 30min - support::slack);
  CHECK_FALSE(t.try_take(ec));  // it has been told
  CHECK_FALSE(ec);
}

TEST_CASE_FIXTURE(alone, "F11 what is scheduled after such a setting is of the new one") {
  asio::io_context context;
  timer t{context};
  t.set(in_an_hour());
  if (!set_clock()) return;
  chime::error_code ec;
  const auto deadline = realtime_clock::now();
  t.expires_at(deadline, chime::cancel_on_clock_set, ec);
  CHECK(ec == chime::error::clock_was_set());
  const auto seen = t.wait();
  CHECK(seen.expirations == 1);
  CHECK(seen.scheduled == deadline);
}

TEST_CASE_FIXTURE(alone,
                  "F11 without an error_code it is thrown, and the timer is set all the same") {
  asio::io_context context;
  timer t{context};
  t.set(in_an_hour());
  if (!set_clock()) return;
  chime::error_code thrown;
  try {
    t.expires_at(realtime_clock::now() + 30min, chime::cancel_on_clock_set);
  } catch (const chime::system_error& e) {
    thrown = e.code();
  }
  CHECK(thrown == chime::error::clock_was_set());
  CHECK(t.get().value <= 30min);
  CHECK(t.get().value > 30min - support::slack);
}

// The kernel forgets the change where the new setting does not ask (fs/timerfd.c,
// timerfd_setup_cancel).
TEST_CASE_FIXTURE(alone,
                  "F11 a setting that does not ask is not told, and neither is a wait after it") {
  asio::io_context context;
  timer t{context};
  t.set(in_an_hour());
  if (!set_clock()) return;
  chime::error_code ec = asio::error::eof;
  const auto old = t.expires_after(30min, ec);
  CHECK_FALSE(ec);
  CHECK(old.value > 1h - support::slack);
  CHECK_FALSE(t.try_take(ec));
  CHECK_FALSE(ec);
}

TEST_CASE_FIXTURE(alone, "F11 disarming a timer whose clock was set is no error") {
  asio::io_context context;
  timer t{context};
  t.set(in_an_hour());
  if (!set_clock()) return;
  chime::error_code ec = asio::error::eof;
  t.disarm(ec);
  CHECK_FALSE(ec);
  CHECK_FALSE(t.is_ready());
}

TEST_CASE_FIXTURE(alone,
                  "F11 disarming it with both flags is no error either, but a take is still told") {
  asio::io_context context;
  timer t{context};
  t.set(in_an_hour());
  if (!set_clock()) return;
  chime::error_code ec = asio::error::eof;
  t.set(setting::at(timer::time_point{}, {}, chime::cancel_on_clock_set), ec);
  CHECK_FALSE(ec);
  CHECK_FALSE(t.is_ready());
  CHECK_FALSE(t.try_take(ec));
  CHECK(ec == chime::error::clock_was_set());
}

TEST_CASE_FIXTURE(
    alone, "C2 F10 who did not ask is not told: relative timers, and absolute ones that follow") {
  asio::io_context context;
  timer relative{context};
  timer follows{context};
  chime::timerfd<chime::monotonic_clock> other_clock{context};
  auto asks_in_vain = setting::after(1h);
  asks_in_vain.on_clock_set = chime::on_clock_set::cancel;
  relative.set(asks_in_vain);
  follows.expires_at(realtime_clock::now() + 1h);
  other_clock.expires_at(chime::monotonic_clock::now() + 1h, chime::cancel_on_clock_set);
  if (!set_clock()) return;
  const auto check = [](auto& t) {
    CHECK_FALSE(t.is_ready());
    chime::error_code ec;
    CHECK_FALSE(t.try_take(ec));
    CHECK_FALSE(ec);
    const auto value = t.get().value;
    CHECK(value <= 1h);
    CHECK(value > 1h - support::slack);
  };
  check(relative);
  check(follows);
  check(other_clock);
}

TEST_SUITE_END();
