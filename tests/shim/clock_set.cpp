// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
// F10, F11: timers that ask to be told when their clock is set. The clock is set by one nanosecond here.
//
// Not here, for it takes real steps of the clock, or a suspend: C1's suspend, C2's steps, F13 and F14. They
// belong to virtual time.
#include <chime/shim/timerfd.hpp>

#include <support/clock_setter.hpp>
#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>
#include <support/skipped.hpp>

#include <doctest/doctest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

using namespace support;

namespace {

nanoseconds tomorrow() { return now(clock_id::realtime) + 24h; }

/// A timer that is told when its clock is set.
shim::descriptor told_timer(clock_id clock = clock_id::realtime) {
  auto timer = make_timer(clock);
  arm(timer, abstime_cancel_on_set, tomorrow(), 7s);
  return timer;
}

bool is_due_tomorrow(const shim::descriptor& timer) {
  const times left = get(timer);
  return left.value > 23h && left.value <= 24h && left.interval == 7s;
}

int read_error(const shim::descriptor& timer) { return error_of(shim::timerfd_read(timer.get())); }

bool has_alarm_clocks() {
  return error_of(shim::timerfd_create(clock_id::realtime_alarm, timerfd_flags::cloexec)) != EPERM;
}

}  // namespace

TEST_CASE_FIXTURE(
    no_leak,
    "F10: when the clock is set, the next read is ECANCELED, once, and the timer stays armed") {
  for (const auto clock : {clock_id::realtime, clock_id::realtime_alarm}) {
    if (clock == clock_id::realtime_alarm && !has_alarm_clocks()) {
      skipped("F10 on REALTIME_ALARM: needs CAP_WAKE_ALARM");
      continue;
    }
    clock_setter setter;
    const auto timer = told_timer(clock);
    CHECK_FALSE(readable_now(timer));
    if (!setter.step()) return skipped("F10: needs CAP_SYS_TIME");
    CHECK(becomes_readable(timer));
    CHECK(is_due_tomorrow(timer));
    CHECK_EQ(read_error(timer), ECANCELED);
    CHECK_FALSE(readable_now(timer));
    CHECK_EQ(read_error(timer), EAGAIN);
    CHECK(is_due_tomorrow(timer));

    // and it is told the next time
    REQUIRE(setter.step());
    CHECK(becomes_readable(timer));
    CHECK_EQ(read_error(timer), ECANCELED);
  }
}

TEST_CASE_FIXTURE(no_leak, "F10: the cancellation clears the count") {
  clock_setter setter;
  const auto timer = make_timer(clock_id::realtime);
  arm(timer, abstime_cancel_on_set, 1ns);
  REQUIRE(becomes_readable(timer));
  if (!setter.step()) return skipped("F10: needs CAP_SYS_TIME");
  CHECK_EQ(read_error(timer), ECANCELED);
  CHECK_EQ(read_error(timer), EAGAIN);
}

TEST_CASE_FIXTURE(no_leak, "F10: CANCEL_ON_SET counts only with ABSTIME and on REALTIME") {
  clock_setter setter;
  const auto witness = told_timer();
  const auto relatively = make_timer(clock_id::realtime);
  arm(relatively, timerfd_set_flags::cancel_on_set, 1h);
  const auto unasked = make_timer(clock_id::realtime);
  arm(unasked, abstime, tomorrow());
  const auto monotonic = make_timer(clock_id::monotonic);
  arm(monotonic, abstime_cancel_on_set, now() + 1h);
  const auto boottime = make_timer(clock_id::boottime);
  arm(boottime, abstime_cancel_on_set, now(clock_id::boottime) + 1h);
  // nor any more once the timer was set without it
  const auto formerly = told_timer();
  arm(formerly, abstime, tomorrow());

  if (!setter.step()) return skipped("F10: needs CAP_SYS_TIME");
  REQUIRE(becomes_readable(witness));
  for (const auto* timer : {&relatively, &unasked, &monotonic, &boottime, &formerly}) {
    CHECK_FALSE(readable_now(*timer));
    CHECK_EQ(read_error(*timer), EAGAIN);
    CHECK_GT(get(*timer).value, 50min);
  }
}

TEST_CASE_FIXTURE(
    no_leak, "F11: with a cancellation unread, a settime that arms is ECANCELED, and has armed") {
  clock_setter setter;
  const auto timer = told_timer();
  if (!setter.step()) return skipped("F11: needs CAP_SYS_TIME");
  REQUIRE(becomes_readable(timer));
  CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), abstime_cancel_on_set,
                                          spec(tomorrow() - 12h, 3s))),
           ECANCELED);
  const times left = get(timer);
  CHECK_LE(left.value, 12h);
  CHECK_GT(left.value, 11h);
  CHECK_EQ(left.interval, 3s);
  CHECK_FALSE(readable_now(timer));
  CHECK_EQ(read_error(timer), EAGAIN);
  CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), abstime, spec(tomorrow()))), 0);
}

TEST_CASE_FIXTURE(no_leak, "F11: that settime does not write the old setting") {
  clock_setter setter;
  const auto timer = told_timer();
  if (!setter.step()) return skipped("F11: needs CAP_SYS_TIME");
  ::itimerspec in{};
  in.it_value.tv_sec = 3600;
  ::itimerspec out{};
  out.it_value.tv_sec = 42;
  CHECK_EQ(error_of(::syscall(SYS_timerfd_settime, timer.get(),
                              TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &in, &out)),
           ECANCELED);
  CHECK_EQ(out.it_value.tv_sec, 42);
}

TEST_CASE_FIXTURE(
    no_leak, "F11: a settime that disarms succeeds; if it asked to be told, a later read is told") {
  for (const auto flags : {abstime, abstime_cancel_on_set}) {
    clock_setter setter;
    const auto timer = told_timer();
    if (!setter.step()) return skipped("F11: needs CAP_SYS_TIME");
    REQUIRE(becomes_readable(timer));
    CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), flags, spec(0ns))), 0);
    CHECK_FALSE(readable_now(timer));
    CHECK_EQ(get(timer).value, 0ns);
    CHECK_EQ(read_error(timer), flags == abstime ? EAGAIN : ECANCELED);
    CHECK_EQ(read_error(timer), EAGAIN);
  }
}
