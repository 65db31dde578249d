// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
// F15: what typed calls cannot say, said to the kernel itself.
#include <chime/shim/timerfd.hpp>

#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

using namespace support;

namespace {

#if defined(SYS_timerfd_settime64)
constexpr long settime_number = SYS_timerfd_settime64;
#else
constexpr long settime_number = SYS_timerfd_settime;
#endif

constexpr int bad_flags = 1 << 30;
constexpr shim::itimerspec valid = spec(1s);
constexpr shim::itimerspec invalid{{0, 0}, {0, -1}};
const auto* const nowhere = reinterpret_cast<const shim::itimerspec*>(std::uintptr_t{8});

int settime_error(int fd, int flags, const shim::itimerspec* in,
                  const shim::itimerspec* out = nullptr) {
  return error_of(::syscall(settime_number, fd, flags, in, out));
}

}  // namespace

TEST_CASE_FIXTURE(no_leak, "F15: settime judges EFAULT, then EINVAL, then EBADF") {
  const shim::descriptor file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  const auto timer = far_off_timer();
  for (const int fd : {-1, file.get(), timer.get()}) {
    CAPTURE(fd);
    CHECK_EQ(settime_error(fd, bad_flags, nowhere), EFAULT);
    CHECK_EQ(settime_error(fd, 0, nullptr), EFAULT);
    CHECK_EQ(settime_error(fd, bad_flags, &valid), EINVAL);
    CHECK_EQ(settime_error(fd, 0, &invalid), EINVAL);
  }
  CHECK_EQ(settime_error(-1, 0, &valid), EBADF);
  CHECK_EQ(settime_error(file.get(), 0, &valid), EINVAL);
  CHECK(is_far_off(timer));
}

TEST_CASE_FIXTURE(
    no_leak,
    "F15: an old-setting pointer that faults is EFAULT, and the timer is armed all the same") {
  const auto timer = make_timer();
  constexpr auto far_off_spec = spec(far_off.value, far_off.interval);
  CHECK_EQ(settime_error(timer.get(), 0, &far_off_spec, nowhere), EFAULT);
  CHECK(is_far_off(timer));
}

TEST_CASE_FIXTURE(no_leak, "F15: errno is untouched on success") {
  constexpr int untouched = 12345;
  errno = untouched;
  {
    auto timer = shim::timerfd_create(clock_id::monotonic, timerfd_flags::nonblock);
    (void)shim::timerfd_settime(timer->get(), abstime, spec(1ns, 1s));
    (void)shim::timerfd_gettime(timer->get());
    CHECK_EQ(errno, untouched);
    REQUIRE(becomes_readable(*timer));
    CHECK_GE(take(*timer), 1);
    CHECK_EQ(errno, untouched);
  }
  CHECK_EQ(errno, untouched);
  errno = 0;
}
