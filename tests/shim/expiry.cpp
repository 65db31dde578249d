// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
// E1-E9, C2: when timers expire, and how often. The kernel's timers do what chime/rules.hpp says.
#include <chime/rules.hpp>
#include <chime/shim/timerfd.hpp>

#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>
#include <support/one_cpu.hpp>
#include <support/skipped.hpp>

#include <doctest/doctest.h>

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>

using namespace support;
using chime::rules::expirations_by;
using chime::rules::never;

namespace {

/// Waits, and takes the expirations.
std::uint64_t wait_and_take(const shim::descriptor& timer) {
  REQUIRE(becomes_readable(timer));
  return take(timer);
}

/// Sets the timer past the end of time, and answers whether `clock` now has just the time left until then.
bool is_held_at_the_end(const shim::descriptor& timer, timerfd_set_flags flags, clock_id clock) {
  constexpr shim::timespec longest{std::numeric_limits<std::int64_t>::max(), 999'999'999};
  constexpr nanoseconds others_step = 2ns;  // by which another test may set the clock meanwhile
  const nanoseconds before = now(clock);
  REQUIRE_EQ(error_of(shim::timerfd_settime(timer.get(), flags, {longest, longest})), 0);
  const times left = get(timer);
  return left.value <= never - before + others_step &&
         left.value >= never - now(clock) - others_step && left.interval == never;
}

}  // namespace

TEST_CASE_FIXTURE(no_leak, "E1: a timer expires at its deadline or after, never before") {
  for (const auto clock : {clock_id::monotonic, clock_id::boottime, clock_id::realtime}) {
    CAPTURE(static_cast<int>(clock));
    const auto timer = make_timer(clock);
    for (const nanoseconds value :
         {nanoseconds{1ns}, nanoseconds{10us}, nanoseconds{1ms}, nanoseconds{3ms + 1ns}}) {
      const nanoseconds deadline = now(clock) + value;
      arm(timer, abstime, deadline);
      CHECK_EQ(wait_and_take(timer), 1);
      CHECK_GE(now(clock).count(), deadline.count());

      // Its deadline is at least `value` after a moment before it was set.
      const nanoseconds before = now(clock);
      arm(timer, relative, value);
      CHECK_EQ(wait_and_take(timer), 1);
      CHECK_GE(now(clock).count(), (before + value).count());
      CHECK_LT(now(clock).count(), (before + value + slack).count());
    }
  }
}

TEST_CASE_FIXTURE(
    no_leak, "E2, E4: what is read adds up to what was due, however late, and stays in phase") {
  const auto timer = make_timer();
  constexpr nanoseconds interval = 300us;
  const nanoseconds first = now() + 1ms;
  arm(timer, abstime, first, interval);
  std::uint64_t total = 0;
  for (int reads = 0; reads < 20; ++reads) {
    REQUIRE(becomes_readable(timer));
    for (const nanoseconds end = now() + reads * 50us; now() < end;) {
    }  // be late, more and more
    const nanoseconds before = now();
    total += take(timer);
    const nanoseconds after = now();
    REQUIRE_GE(total, expirations_by(first, interval, before));
    REQUIRE_LE(total, expirations_by(first, interval, after));

    const nanoseconds asked = now();
    const nanoseconds left = get(timer).value;
    const nanoseconds answered = now();
    if (left == 0ns) continue;  // due, and its interrupt is on its way
    // Asked at some instant in between, the next deadline lies a whole number of intervals after the first.
    const nanoseconds early = asked + left - first;
    const nanoseconds late = answered + left - first;
    REQUIRE_GE(late / interval * interval, early);
  }
}

TEST_CASE_FIXTURE(no_leak,
                  "E3, E5, E7: a deadline in the past expires at once, with every interval since") {
  const auto timer = make_timer();
  for (const nanoseconds interval : {nanoseconds{1ns}, nanoseconds{7us}, nanoseconds{1s}}) {
    CAPTURE(interval.count());
    const nanoseconds first = now() / 2;
    arm(timer, abstime, first, interval);
    REQUIRE(becomes_readable(timer));
    const nanoseconds before = now();
    const auto count = take(timer);
    CHECK_GE(count, expirations_by(first, interval, before));
    CHECK_LE(count, expirations_by(first, interval, now()));
  }
}

TEST_CASE_FIXTURE(no_leak, "E6: equal deadlines expire in the order in which they were armed") {
  const support::on_one_cpu here;  // and so to one queue of the kernel's
  constexpr std::array<std::size_t, 8> order{5, 2, 7, 0, 1, 6, 4, 3};
  std::array<shim::descriptor, order.size()> timers;
  const shim::descriptor epoll{::epoll_create1(EPOLL_CLOEXEC)};
  for (std::size_t i = 0; i < timers.size(); ++i) {
    timers[i] = make_timer();
    ::epoll_event once{.events = EPOLLIN | EPOLLONESHOT,
                       .data = {.u32 = static_cast<std::uint32_t>(i)}};
    REQUIRE_EQ(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timers[i].get(), &once), 0);
  }
  const nanoseconds deadline = now() + 2ms;
  for (const std::size_t i : order) arm(timers[i], abstime, deadline);
  for (const std::size_t i : order) {
    ::epoll_event event{};
    REQUIRE_EQ(::epoll_wait(epoll.get(), &event, 1, static_cast<int>(slack.count())), 1);
    CHECK_EQ(event.data.u32, i);
  }
}

TEST_CASE_FIXTURE(no_leak, "E8: a deadline past the end of time is held there, and never fires") {
  for (const auto clock : {clock_id::monotonic, clock_id::realtime, clock_id::boottime}) {
    CAPTURE(static_cast<int>(clock));
    const auto timer = make_timer(clock);
    CHECK(is_held_at_the_end(timer, abstime, clock));
    CHECK_FALSE(readable_now(timer));
  }
}

// Steps of the clock beyond a nanosecond belong to virtual time. But how far away the end of time is tells which
// clock a relative timer is kept on: REALTIME is decades ahead of MONOTONIC.
TEST_CASE_FIXTURE(no_leak, "C2: a relative timer on REALTIME is kept on MONOTONIC") {
  const auto timer = make_timer(clock_id::realtime);
  CHECK(is_held_at_the_end(timer, relative, clock_id::monotonic));
  CHECK_FALSE(readable_now(timer));
}

TEST_CASE_FIXTURE(no_leak,
                  "C2: a relative timer on REALTIME_ALARM is kept on REALTIME, and steps with it") {
  if (error_of(shim::timerfd_create(clock_id::realtime_alarm, timerfd_flags::none)) == EPERM)
    return skipped("C2 on REALTIME_ALARM: needs CAP_WAKE_ALARM");
  const auto timer = make_timer(clock_id::realtime_alarm);
  CHECK(is_held_at_the_end(timer, relative, clock_id::realtime));
  CHECK_FALSE(readable_now(timer));
}

TEST_CASE_FIXTURE(no_leak, "E8: the kernel saturates where from_timespec does") {
  const auto timer = make_timer();
  for (const std::int64_t seconds : {9'223'372'035, 9'223'372'036, 9'223'372'037}) {
    CAPTURE(seconds);
    const shim::timespec interval{seconds, 1};
    REQUIRE_EQ(error_of(shim::timerfd_settime(timer.get(), relative, {interval, {1, 0}})), 0);
    CHECK_EQ(get(timer).interval, *chime::from_timespec(interval));
  }
}

TEST_CASE_FIXTURE(no_leak, "E9: an invalid time is EINVAL, and the earlier setting stands") {
  const auto timer = far_off_timer();
  constexpr shim::timespec valid{1, 0};
  for (const shim::timespec invalid :
       {shim::timespec{-1, 0}, {0, -1}, {0, 1'000'000'000}, {-1, 999'999'999}}) {
    CAPTURE(invalid.tv_sec);
    CAPTURE(invalid.tv_nsec);
    for (const auto flags : {relative, abstime}) {
      CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), flags, {valid, invalid})), EINVAL);
      CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), flags, {invalid, valid})), EINVAL);
    }
    // even where it would only disarm
    CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), relative, {invalid, {0, 0}})), EINVAL);
    CHECK(is_far_off(timer));
  }
  CHECK_EQ(
      error_of(shim::timerfd_settime(timer.get(), relative, {{0, 999'999'999}, {1, 999'999'999}})),
      0);
}
