// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/rules.hpp>
#include <chime/shim/timerfd.hpp>

#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>

#include <cerrno>

using namespace support;

TEST_CASE_FIXTURE(no_leak,
                  "F2: any flag but TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET is EINVAL") {
  const auto timer = far_off_timer();
  for (int bit = 2; bit < 32; ++bit) {
    CAPTURE(bit);
    const auto flag = static_cast<timerfd_set_flags>(1U << bit);
    CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), flag, spec(1ns))), EINVAL);
    CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), abstime | flag, spec(1ns))), EINVAL);
  }
  CHECK(is_far_off(timer));
  for (const auto flags :
       {relative, abstime, timerfd_set_flags::cancel_on_set, abstime_cancel_on_set})
    CHECK_EQ(error_of(shim::timerfd_settime(timer.get(), flags, spec(1h))), 0);
}

TEST_CASE_FIXTURE(no_leak, "F2: not a timerfd is EINVAL, not open EBADF") {
  const shim::descriptor file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  CHECK_EQ(error_of(shim::timerfd_settime(file.get(), relative, spec(1s))), EINVAL);
  CHECK_EQ(error_of(shim::timerfd_gettime(file.get())), EINVAL);
  CHECK_EQ(error_of(shim::timerfd_settime(-1, relative, spec(1s))), EBADF);
  CHECK_EQ(error_of(shim::timerfd_gettime(-1)), EBADF);
}

TEST_CASE_FIXTURE(no_leak, "F2: ABSTIME counts from the clock's epoch, its absence from now") {
  const auto timer = make_timer();
  const nanoseconds before = now();
  arm(timer, abstime, before + 1h);
  const nanoseconds left = get(timer).value;
  CHECK_LE(left, 1h);
  CHECK_GE(left, before + 1h - now());

  arm(timer, relative, before + 1h);
  CHECK_GT(get(timer).value, 1h);
}

TEST_CASE_FIXTURE(no_leak, "F3: settime clears the count") {
  const auto timer = expired_timer();
  arm(timer, relative, 1h);
  CHECK_FALSE(readable_now(timer));
  CHECK_EQ(error_of(shim::timerfd_read(timer.get())), EAGAIN);
}

TEST_CASE_FIXTURE(no_leak, "F4: settime returns the time that remained and the interval") {
  const auto timer = make_timer();
  CHECK_EQ(arm(timer, relative, 1h, 7s), times{0ns, 0ns});
  const times old = arm(timer, relative, 1ms);
  CHECK_LE(old.value, 1h);
  CHECK_GT(old.value, 1h - 10min);
  CHECK_EQ(old.interval, 7s);
}

TEST_CASE_FIXTURE(no_leak,
                  "F4: an expired one-shot timer has nothing left, a periodic one the time to its "
                  "next deadline") {
  CHECK_EQ(arm(expired_timer(), relative, 1h), times{0ns, 0ns});

  const nanoseconds interval = now() / 3;
  const nanoseconds first = interval + interval / 2;  // one and a half intervals ago
  const auto periodic = make_timer();
  arm(periodic, abstime, first, interval);
  REQUIRE(becomes_readable(periodic));
  const nanoseconds before = now();
  const times old = arm(periodic, relative, 0ns);
  CHECK_LE(old.value, first + 2 * interval - before);
  CHECK_GE(old.value, first + 2 * interval - now());
  CHECK_EQ(old.interval, interval);
}

TEST_CASE_FIXTURE(no_leak, "F5: value 0 disarms and keeps the interval") {
  const auto timer = make_timer();
  for (const auto flags : {relative, abstime}) {
    arm(timer, relative, 1h, 7s);
    arm(timer, flags, 0ns, 5ms);
    CHECK_EQ(get(timer), times{0ns, 5ms});
    CHECK_FALSE(readable_now(timer));
    CHECK_EQ(arm(timer, relative, 0ns), times{0ns, 5ms});
    CHECK_EQ(get(timer), times{0ns, 0ns});
  }
}

TEST_CASE_FIXTURE(no_leak, "F6: gettime is relative however the timer was set") {
  const auto timer = make_timer();
  const nanoseconds deadline = now() + 1h;
  arm(timer, abstime, deadline, 7s);
  const nanoseconds before = now();
  const times left = get(timer);
  CHECK_LE(left.value, deadline - before);
  CHECK_GE(left.value, deadline - now());
  CHECK_EQ(left.interval, 7s);
}

TEST_CASE_FIXTURE(no_leak, "F6: gettime catches up and loses no counts") {
  const auto timer = make_timer();
  const nanoseconds interval = now() / 3;
  const nanoseconds first = interval + interval / 2;  // one and a half intervals ago
  arm(timer, abstime, first, interval);
  REQUIRE(becomes_readable(timer));
  for (int i = 0; i < 3; ++i) {
    const nanoseconds before = now();
    const times left = get(timer);
    CHECK_LE(left.value, first + 2 * interval - before);
    CHECK_GE(left.value, first + 2 * interval - now());
    CHECK_EQ(left.interval, interval);
    CHECK(readable_now(timer));
  }
  CHECK_EQ(take(timer), 2);

  const auto one_shot = expired_timer();
  CHECK_EQ(get(one_shot), times{0ns, 0ns});
  CHECK_EQ(take(one_shot), 1);
}

TEST_CASE_FIXTURE(no_leak, "F6: a quick timer that is asked again and again still counts exactly") {
  const auto timer = make_timer();
  constexpr nanoseconds interval = 20us;
  const nanoseconds first = now() + interval;
  arm(timer, abstime, first, interval);
  for (int i = 0; i < 200; ++i) CHECK_LE(get(timer).value, interval);
  REQUIRE(becomes_readable(timer));
  const nanoseconds before = now();
  const auto due = chime::rules::expirations_by(first, interval, before);
  auto count = take(timer);
  // The interrupt of the last one may be on its way still, as what was asked of was counted then.
  while (count < due && becomes_readable(timer)) count += take(timer);
  CHECK_GE(count, due);
  CHECK_LE(count, chime::rules::expirations_by(first, interval, now()));
}
