// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/rules.hpp>
#include <chime/shim/timerfd.hpp>

#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>
#include <support/skipped.hpp>

#include <doctest/doctest.h>

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>

using namespace support;

namespace {

/// read(2) itself: the C library's sanitized wrappers look at buffers before the kernel does.
long raw_read(const shim::descriptor& timer, void* buffer, std::size_t size) {
  return ::syscall(SYS_read, timer.get(), buffer, size);
}

/// Whether the kernel has TFD_IOC_SET_TICKS, asked without the shim: a shim that asks wrongly is not to be skipped.
bool kernel_sets_ticks(const shim::descriptor& timer) {
  const std::uint64_t one = 1;
  if (::ioctl(timer.get(), _IOW('T', 0, std::uint64_t), &one) == 0) return take(timer) == 1;
  // fs/timerfd.c has no .compat_ioctl.
  skipped("F12: needs a kernel with CONFIG_CHECKPOINT_RESTORE, and of the program's own word size");
  return false;
}

bool kernel_is_at_least(int major, int minor) {
  ::utsname name{};
  int found_major = 0;
  int found_minor = 0;
  if (::uname(&name) == -1 || std::sscanf(name.release, "%d.%d", &found_major, &found_minor) != 2)
    return false;
  return found_major > major || (found_major == major && found_minor >= minor);
}

}  // namespace

TEST_CASE_FIXTURE(no_leak, "F7: a read of fewer than 8 bytes is EINVAL and loses nothing") {
  const auto timer = expired_timer();
  std::array<unsigned char, 8> buffer{};
  for (std::size_t size = 0; size < buffer.size(); ++size)
    CHECK_EQ(error_of(raw_read(timer, buffer.data(), size)), EINVAL);
  CHECK_EQ(take(timer), 1);
}

TEST_CASE_FIXTURE(no_leak, "F7: the count is a host-order u64, and then 0 again") {
  const auto timer = expired_timer();
  std::array<std::uint64_t, 2> buffer{~0ULL, ~0ULL};
  CHECK_EQ(raw_read(timer, buffer.data(), sizeof buffer), 8);
  CHECK_EQ(buffer[0], 1);
  CHECK_EQ(buffer[1], ~0ULL);
  CHECK_EQ(error_of(shim::timerfd_read(timer.get())), EAGAIN);
}

TEST_CASE_FIXTURE(no_leak,
                  "F7: want of expirations is EAGAIN where the descriptor does not block") {
  const auto timer = far_off_timer();
  CHECK_EQ(error_of(shim::timerfd_read(timer.get())), EAGAIN);
  CHECK(is_far_off(timer));
}

TEST_CASE_FIXTURE(no_leak, "F7: a blocking read waits for the deadline") {
  const auto timer = make_timer(clock_id::monotonic, timerfd_flags::none);
  const nanoseconds deadline = now() + 3ms;
  arm(timer, abstime, deadline);
  CHECK_EQ(take(timer), 1);
  CHECK_GE(now().count(), deadline.count());
}

TEST_CASE_FIXTURE(no_leak,
                  "F7: two readers never get the same expirations, and none is lost between them") {
  const auto timer = make_timer(clock_id::monotonic, timerfd_flags::none);
  constexpr nanoseconds interval = 50us;
  const nanoseconds first = now() + 1ms;
  arm(timer, abstime, first, interval);
  std::array<std::uint64_t, 2> taken{};
  const auto reader = [&](std::uint64_t& total) {
    for (int i = 0; i < 100; ++i) total += take(timer);
  };
  std::thread other{reader, std::ref(taken[0])};
  reader(taken[1]);
  other.join();
  REQUIRE(becomes_readable(timer));
  const nanoseconds before = now();
  const std::uint64_t total = taken[0] + taken[1] + take(timer);
  CHECK_GE(total, chime::rules::expirations_by(first, interval, before));
  CHECK_LE(total, chime::rules::expirations_by(first, interval, now()));
}

TEST_CASE_FIXTURE(no_leak, "F7: a bad buffer is EFAULT, and the count is lost") {
  const auto timer = expired_timer();
  CHECK_EQ(error_of(raw_read(timer, reinterpret_cast<void*>(std::uintptr_t{1}), 8)), EFAULT);
  CHECK_EQ(error_of(shim::timerfd_read(timer.get())), EAGAIN);
}

TEST_CASE_FIXTURE(no_leak, "F7: readv may scatter the 8 bytes") {
  const auto timer = expired_timer();
  std::array<unsigned char, 8> bytes{};
  const std::array<::iovec, 2> halves{{{bytes.data(), 4}, {bytes.data() + 4, 4}}};
  if (!kernel_is_at_least(6, 10))
    return skipped("F7, readv: needs Linux 6.10");  // .read_iter of fs/timerfd.c
  CHECK_EQ(::readv(timer.get(), halves.data(), 2), 8);
  std::uint64_t count = 0;
  std::memcpy(&count, bytes.data(), sizeof count);
  CHECK_EQ(count, 1);
}

TEST_CASE_FIXTURE(
    no_leak, "F7: a timer has no position: lseek answers 0, pread ESPIPE, and nothing is lost") {
  const auto timer = expired_timer();
  std::uint64_t count = 0;
  CHECK_EQ(::lseek(timer.get(), 8, SEEK_SET), 0);
  CHECK_EQ(error_of(::pread(timer.get(), &count, sizeof count, 0)), ESPIPE);
  CHECK_EQ(take(timer), 1);
}

TEST_CASE_FIXTURE(no_leak, "F8: readable exactly while the count is not 0") {
  const auto timer = far_off_timer();
  CHECK_FALSE(readable_now(timer));
  arm(timer, abstime, 1ns);
  CHECK(becomes_readable(timer));
  CHECK(readable_now(timer));
  CHECK_EQ(take(timer), 1);
  CHECK_FALSE(readable_now(timer));
}

TEST_CASE_FIXTURE(no_leak, "F8: write is EINVAL") {
  const auto timer = far_off_timer();
  const std::uint64_t count = 1;
  CHECK_EQ(error_of(::write(timer.get(), &count, sizeof count)), EINVAL);
  CHECK(is_far_off(timer));
}

TEST_CASE_FIXTURE(no_leak, "F12: TFD_IOC_SET_TICKS sets the count, and 0 is EINVAL") {
  const auto timer = far_off_timer();
  if (!kernel_sets_ticks(timer)) return;
  CHECK_EQ(error_of(shim::timerfd_set_ticks(timer.get(), 5)), 0);
  CHECK(readable_now(timer));
  CHECK_EQ(error_of(shim::timerfd_set_ticks(timer.get(), 0)), EINVAL);
  CHECK_EQ(take(timer), 5);
  CHECK(is_far_off(timer));
  CHECK_EQ(error_of(shim::timerfd_set_ticks(timer.get(), UINT64_MAX)), 0);
  CHECK_EQ(take(timer), UINT64_MAX);
}

TEST_CASE_FIXTURE(no_leak, "F12: TFD_IOC_SET_TICKS wakes readers") {
  const auto timer = make_timer(clock_id::monotonic, timerfd_flags::none);
  if (!kernel_sets_ticks(timer)) return;
  arm(timer, relative, slack);  // to end the test where it does not
  std::uint64_t count = 0;
  std::thread reader{[&] { count = take(timer); }};
  CHECK_EQ(error_of(shim::timerfd_set_ticks(timer.get(), 3)), 0);
  reader.join();
  CHECK_EQ(count, 3);
}
