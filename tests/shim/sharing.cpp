// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/shim/timerfd.hpp>

#include <support/in_child.hpp>
#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

using namespace support;

namespace {

shim::descriptor duplicate(const shim::descriptor& timer) {
  return shim::descriptor{::fcntl(timer.get(), F_DUPFD_CLOEXEC, 0)};
}

/// Becomes a shell that runs `command`.
int become_shell(const char* command) {
  ::execl("/bin/sh", "sh", "-c", command, static_cast<char*>(nullptr));
  return 254;
}

shim::descriptor watch(const shim::descriptor& timer, std::uint32_t events) {
  shim::descriptor epoll{::epoll_create1(EPOLL_CLOEXEC)};
  ::epoll_event event{.events = events, .data = {}};
  REQUIRE_EQ(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), &event), 0);
  return epoll;
}

bool reports(const shim::descriptor& epoll, std::chrono::milliseconds timeout) {
  ::epoll_event event{};
  return ::epoll_wait(epoll.get(), &event, 1, static_cast<int>(timeout.count())) == 1;
}

}  // namespace

TEST_CASE_FIXTURE(no_leak, "F9: descriptors made by dup share one timer") {
  const auto timer = expired_timer();
  {
    const auto other = duplicate(timer);
    CHECK(readable_now(other));
    CHECK_EQ(take(other), 1);
    CHECK_EQ(error_of(shim::timerfd_read(timer.get())), EAGAIN);
    arm(other, relative, far_off.value, far_off.interval);
  }
  CHECK(is_far_off(timer));  // and the close of one of them does nothing to it
}

TEST_CASE_FIXTURE(no_leak, "F9: a forked child shares the timer") {
  const auto timer = expired_timer();
  CHECK_EQ(in_child([&] {
             const auto count = shim::timerfd_read(timer.get());
             if (!count || *count != 1) return 1;
             const auto setting = spec(far_off.value, far_off.interval);
             return shim::timerfd_settime(timer.get(), relative, setting) ? 0 : 2;
           }),
           0);
  CHECK(is_far_off(timer));
}

TEST_CASE_FIXTURE(no_leak, "F9: the timer goes on across exec") {
  const auto timer = make_timer(clock_id::monotonic, timerfd_flags::none);
  arm(timer, relative, 5ms);
  CHECK_EQ(in_child([&] {
             ::dup2(timer.get(), 9);  // without close-on-exec, and with one digit, as sh wants it
             return become_shell("test `head -c 8 <&9 | wc -c` -eq 8");
           }),
           0);
  CHECK_EQ(::fcntl(timer.get(), F_SETFL, O_NONBLOCK), 0);
  CHECK_EQ(error_of(shim::timerfd_read(timer.get())), EAGAIN);  // they took it
}

TEST_CASE_FIXTURE(no_leak, "F9: exec closes a descriptor that is close-on-exec, and no other") {
  const auto timer = make_timer();
  const auto seen_after_exec = [&](int flags) {
    return in_child([&] {
             ::dup3(timer.get(), 9, flags);
             return become_shell("readlink /proc/$$/fd/9 | grep -q timerfd");
           }) == 0;
  };
  CHECK(seen_after_exec(0));
  CHECK_FALSE(seen_after_exec(O_CLOEXEC));
}

TEST_CASE_FIXTURE(no_leak, "F9: the close of the last descriptor ends the timer") {
  auto timer = expired_timer();
  auto other = duplicate(timer);
  const auto epoll = watch(timer, EPOLLIN);
  timer = {};
  CHECK(reports(epoll, 0ms));
  const int closed = other.get();
  other = {};
  CHECK_FALSE(reports(epoll, 0ms));
  CHECK_EQ(error_of(shim::timerfd_gettime(closed)), EBADF);
  CHECK_EQ(error_of(shim::timerfd_read(closed)), EBADF);
}

TEST_CASE_FIXTURE(no_leak, "F16: a periodic timer wakes its waiters once, until it is read") {
  const auto timer = make_timer();
  const auto edges = watch(timer, EPOLLIN | EPOLLET);
  arm(timer, relative, 1ms, 1ms);
  CHECK(reports(edges, slack));

  const auto meanwhile = make_timer();
  arm(meanwhile, relative, 10ms);
  REQUIRE(becomes_readable(meanwhile));
  CHECK_FALSE(reports(edges, 0ms));

  CHECK_GE(take(timer), 10);
  CHECK(reports(edges, slack));
}

TEST_CASE_FIXTURE(no_leak, "F16: a periodic timer that was asked wakes its waiters again") {
  const auto timer = make_timer();
  const auto edges = watch(timer, EPOLLIN | EPOLLET);
  arm(timer, relative, 1ms, 1ms);
  for (int i = 0; i < 5; ++i) {
    CHECK(reports(edges, slack));
    CHECK_EQ(get(timer).interval, 1ms);
  }
  CHECK_GE(take(timer), 5);
}

TEST_CASE_FIXTURE(no_leak, "F16: each setting of a one-shot timer gives a new edge, read or not") {
  const auto timer = make_timer();
  const auto edges = watch(timer, EPOLLIN | EPOLLET);
  for (int i = 0; i < 5; ++i) {
    arm(timer, relative, 1ns);
    CHECK(reports(edges, slack));
    CHECK_FALSE(reports(edges, 0ms));
  }
  CHECK_EQ(take(timer), 1);
}

TEST_CASE_FIXTURE(no_leak, "F16: settime makes the descriptor quiet") {
  const auto timer = expired_timer();
  const auto level = watch(timer, EPOLLIN);
  CHECK(reports(level, 0ms));
  arm(timer, relative, 1h);
  CHECK_FALSE(reports(level, 0ms));
}
