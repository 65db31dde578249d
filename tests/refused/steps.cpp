// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The wall clock is set where no system call tells of it: in a sandbox that refuses timerfd_create,
// as on systems that have none. The clock that is set is the program's own view of it.
#include "refused/no_timers.hpp"
#include "support/asio.hpp"

#include <chime/timerfd.hpp>
#include <chime/user/sleeper.hpp>

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace {

std::atomic<std::int64_t> seconds_set = 0;

}  // namespace

// The library's, Asio's and the standard library's clocks all come here.
extern "C" int clock_gettime(clockid_t clock, timespec* t) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, t));
  if (result == 0 && clock == CLOCK_REALTIME) t->tv_sec += seconds_set.load();
  return result;
}

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::monotonic_clock;
using chime::realtime_clock;

// The bound that is promised, and the slack of a machine that stalls.
constexpr auto noticed_within = chime::user::sleeper::longest_without_watch + support::slack;

/// Two hours in an instant.
void set_clock(std::chrono::seconds by) { seconds_set += by.count(); }

struct fixture : refused::no_timers {
  asio::io_context context;
  chime::timerfd<realtime_clock> t{context};
  support::outcome<realtime_clock> seen;

  /// Waits, and sets the clock when the engine has been sleeping for a while.
  void wait_and_set_clock(std::chrono::seconds by) {
    t.async_wait(seen.handler());
    context.run_for(20ms);
    REQUIRE_EQ(seen.calls, 0);
    set_clock(by);
    const auto start = monotonic_clock::now();
    while (seen.calls == 0 && monotonic_clock::now() - start < noticed_within)
      context.run_one_for(noticed_within);
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture,
                  "C2: an absolute timer past which the clock is set expires within a second") {
  const auto deadline = realtime_clock::now() + 1h;
  t.expires_at(deadline);
  wait_and_set_clock(2h);
  CHECK_EQ(seen.calls, 1);
  CHECK_FALSE(seen.error);
  CHECK_EQ(seen.expiry.expirations, 1);
  CHECK_EQ(seen.expiry.scheduled, deadline);
}

TEST_CASE_FIXTURE(fixture, "F10, W5: one that is to be cancelled then is, and stays armed") {
  t.expires_at(realtime_clock::now() + 3h, chime::cancel_on_clock_set);
  wait_and_set_clock(2h);
  CHECK_EQ(seen.calls, 1);
  CHECK_EQ(seen.error, chime::error::clock_was_set());
  const auto left = t.get().value;
  CHECK_LE(left, 1h);
  CHECK_GT(left, 1h - 2 * noticed_within);
}

TEST_CASE_FIXTURE(fixture,
                  "C2: the clock set back makes an absolute timer wait, and a relative one not") {
  const auto start = monotonic_clock::now();
  t.expires_at(realtime_clock::now() + 100ms);
  chime::timerfd<realtime_clock> relative{context};
  relative.expires_after(100ms);
  support::outcome<realtime_clock> of_relative;
  relative.async_wait(of_relative.handler());
  t.async_wait(seen.handler());
  context.run_for(10ms);
  set_clock(-2h);
  support::run_until(context, [&] { return of_relative.calls != 0; });
  CHECK_FALSE(of_relative.error);
  CHECK_GE(monotonic_clock::now() - start, 100ms);
  context.run_for(chime::user::sleeper::longest_without_watch);
  CHECK_EQ(seen.calls, 0);
  CHECK_GT(t.get().value, 1h);
}
