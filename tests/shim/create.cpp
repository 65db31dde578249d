// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/shim/timerfd.hpp>

#include <support/in_child.hpp>
#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>
#include <support/skipped.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

using namespace support;

namespace {

int create_error(clock_id clock, timerfd_flags flags = timerfd_flags::none) {
  return error_of(shim::timerfd_create(clock, flags));
}

/// Gives CAP_WAKE_ALARM up, for good.
bool drop_wake_alarm() {
  ::__user_cap_header_struct self{_LINUX_CAPABILITY_VERSION_3, 0};
  ::__user_cap_data_struct sets[2]{};
  if (::syscall(SYS_capget, &self, sets) == -1) return false;
  auto& set = sets[CAP_TO_INDEX(CAP_WAKE_ALARM)];
  set.effective &= ~CAP_TO_MASK(CAP_WAKE_ALARM);
  set.permitted &= ~CAP_TO_MASK(CAP_WAKE_ALARM);
  return ::syscall(SYS_capset, &self, sets) == 0;
}

int file_flags(const shim::descriptor& timer) { return ::fcntl(timer.get(), F_GETFL); }
int descriptor_flags(const shim::descriptor& timer) { return ::fcntl(timer.get(), F_GETFD); }

}  // namespace

TEST_CASE_FIXTURE(no_leak, "C4: an alarm clock needs CAP_WAKE_ALARM") {
  for (const auto clock : {clock_id::realtime_alarm, clock_id::boottime_alarm}) {
    CHECK_EQ(in_child([&] { return drop_wake_alarm() ? create_error(clock) : 254; }), EPERM);
    if (create_error(clock) == EPERM) {
      skipped("C4, of the alarm clocks themselves: needs CAP_WAKE_ALARM");
      continue;
    }
    const auto timer = expired_timer(clock);
    CHECK_EQ(take(timer), 1);
  }
}

TEST_CASE_FIXTURE(no_leak, "C5: timerfd keeps REALTIME, MONOTONIC, BOOTTIME and no others") {
  for (const auto clock : {clock_id::realtime, clock_id::monotonic, clock_id::boottime}) {
    CAPTURE(static_cast<int>(clock));
    const auto timer = expired_timer(clock);
    CHECK_EQ(take(timer), 1);
  }
  for (const auto clock :
       {clock_id::tai, clock_id::process_cputime, clock_id::thread_cputime, clock_id::monotonic_raw,
        clock_id::realtime_coarse, clock_id::monotonic_coarse, static_cast<clock_id>(1000),
        static_cast<clock_id>(-1)}) {
    CAPTURE(static_cast<int>(clock));
    CHECK_EQ(create_error(clock), EINVAL);
  }
}

TEST_CASE_FIXTURE(no_leak, "F1: any flag but TFD_NONBLOCK, TFD_CLOEXEC is EINVAL") {
  for (int bit = 0; bit < 32; ++bit) {
    const auto flag = static_cast<timerfd_flags>(1U << bit);
    CAPTURE(bit);
    const bool known = flag == timerfd_flags::nonblock || flag == timerfd_flags::cloexec;
    CHECK_EQ(create_error(clock_id::monotonic, flag), known ? 0 : EINVAL);
  }
}

TEST_CASE_FIXTURE(no_leak, "F1: each flag does what it says") {
  const auto plain = shim::timerfd_create(clock_id::monotonic, timerfd_flags::none);
  CHECK_EQ(file_flags(*plain) & O_NONBLOCK, 0);
  CHECK_EQ(descriptor_flags(*plain), 0);

  const auto nonblock = shim::timerfd_create(clock_id::monotonic, timerfd_flags::nonblock);
  CHECK_EQ(file_flags(*nonblock) & O_NONBLOCK, O_NONBLOCK);
  CHECK_EQ(descriptor_flags(*nonblock), 0);

  const auto cloexec = shim::timerfd_create(clock_id::monotonic, timerfd_flags::cloexec);
  CHECK_EQ(file_flags(*cloexec) & O_NONBLOCK, 0);
  CHECK_EQ(descriptor_flags(*cloexec), FD_CLOEXEC);

  const auto both =
      shim::timerfd_create(clock_id::monotonic, timerfd_flags::nonblock | timerfd_flags::cloexec);
  CHECK_EQ(file_flags(*both) & O_NONBLOCK, O_NONBLOCK);
  CHECK_EQ(descriptor_flags(*both), FD_CLOEXEC);
}

TEST_CASE_FIXTURE(no_leak, "a new timer is disarmed") {
  const auto timer = make_timer();
  CHECK_EQ(get(timer), times{0ns, 0ns});
  CHECK_FALSE(readable_now(timer));
  CHECK_EQ(error_of(shim::timerfd_read(timer.get())), EAGAIN);
}
