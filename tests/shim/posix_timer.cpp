// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/rules.hpp>
#include <chime/shim/posix_timer.hpp>

#include <support/in_child.hpp>
#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>

#include <doctest/doctest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <thread>
#include <utility>

using namespace support;
using shim::timer_set_flags;

namespace {

int create_error(clock_id clock, const ::sigevent& event = shim::notify_nobody()) {
  return error_of(shim::timer_create(clock, &event));
}

shim::posix_timer silent(clock_id clock = clock_id::monotonic) {
  const ::sigevent event = shim::notify_nobody();
  auto timer = shim::timer_create(clock, &event);
  REQUIRE_EQ(error_of(timer), 0);
  return *std::move(timer);
}

/// A timer whose signal this thread has blocked, and takes itself.
class accepted {
 public:
  accepted() {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGRTMIN + 1);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
    const ::sigevent event =
        shim::notify_thread(static_cast<pid_t>(::syscall(SYS_gettid)), SIGRTMIN + 1, ::sigval{42});
    timer_ = *shim::timer_create(clock_id::monotonic, &event);
  }
  ~accepted() {
    timer_ = {};
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  [[nodiscard]] shim::timer_id id() const { return *timer_; }

  /// The siginfo, if it comes within so much time.
  std::optional<::siginfo_t> accept(nanoseconds within) {
    ::siginfo_t info{};
    const auto patience = chime::to_timespec<::timespec>(within);
    if (::sigtimedwait(&set_, &info, &patience) == -1) return {};
    return info;
  }

 private:
  ::sigset_t set_{}, before_{};
  shim::posix_timer timer_;
};

void arm(shim::timer_id id, timer_set_flags flags, nanoseconds value, nanoseconds interval = {}) {
  REQUIRE_EQ(error_of(shim::timer_settime(id, flags, spec(value, interval))), 0);
}

}  // namespace

TEST_CASE_FIXTURE(no_leak, "P1: unknown signals, notifications and threads are EINVAL") {
  for (const int signal : {-1, 0, 65, 1 << 30}) {
    CAPTURE(signal);
    CHECK_EQ(create_error(clock_id::monotonic, shim::notify_process(signal)), EINVAL);
  }
  ::sigevent odd = shim::notify_process(SIGUSR1);
  odd.sigev_notify = 99;
  CHECK_EQ(create_error(clock_id::monotonic, odd), EINVAL);
  CHECK_EQ(create_error(clock_id::monotonic, shim::notify_thread(1 << 29, SIGUSR1)), EINVAL);
  CHECK_EQ(create_error(clock_id::monotonic, shim::notify_thread(1, SIGUSR1)), EINVAL);
  CHECK_EQ(create_error(clock_id::monotonic, shim::notify_process(SIGRTMAX)), 0);
  CHECK_EQ(error_of(shim::timer_create(clock_id::monotonic)), 0);  // SIGALRM
}

TEST_CASE_FIXTURE(no_leak,
                  "P1: the id is no descriptor, 0 is one like any other, and the owner deletes") {
  const auto descriptors = open_descriptors();
  shim::timer_id id{};
  {
    shim::posix_timer a = silent();
    CHECK_EQ(open_descriptors(), descriptors);
    REQUIRE(a.has_value());
    id = *a;
    shim::posix_timer b = std::move(a);
    CHECK_FALSE(a.has_value());
    CHECK_EQ(*b, id);
    shim::posix_timer none;
    CHECK_FALSE(none);
    CHECK(b);
    a = silent();
    CHECK(*a != id);
  }
  CHECK_EQ(error_of(shim::timer_gettime(id)), EINVAL);
  shim::posix_timer c = silent();
  const auto kept = c.release();
  CHECK_EQ(error_of(shim::timer_gettime(*kept)), 0);
  CHECK_EQ(error_of(shim::timer_delete(*kept)), 0);
}

TEST_CASE_FIXTURE(no_leak, "C5, P12: the clocks") {
  for (const auto clock : {clock_id::realtime, clock_id::monotonic, clock_id::boottime,
                           clock_id::tai, clock_id::process_cputime, clock_id::thread_cputime}) {
    CAPTURE(static_cast<int>(clock));
    CHECK_EQ(create_error(clock), 0);
  }
  for (const auto clock :
       {clock_id::monotonic_raw, clock_id::realtime_coarse, clock_id::monotonic_coarse})
    CHECK_EQ(create_error(clock), EOPNOTSUPP);
  CHECK_EQ(create_error(static_cast<clock_id>(42)), EINVAL);
  CHECK_EQ(create_error(*shim::cpu_clock_of(::pthread_self())), 0);
  CHECK_EQ(create_error(*shim::cpu_clock_of_process(::getpid())), 0);
  CHECK_EQ(create_error(*shim::cpu_clock_of_process(::getppid())), 0);
  CHECK_EQ(error_of(shim::cpu_clock_of_process((1 << 22) - 1)), ESRCH);
}

TEST_CASE_FIXTURE(no_leak,
                  "P2: bad times and ids are EINVAL and change nothing, other flags mean nothing") {
  const shim::posix_timer t = silent();
  arm(*t, timer_set_flags::none, 1h, 7s);
  const shim::itimerspec bad[] = {
      {{0, 0}, {-1, 0}}, {{0, 0}, {0, -1}}, {{0, 0}, {0, 1'000'000'000}},
      {{-1, 0}, {1, 0}}, {{0, -1}, {1, 0}}, {{0, 1'000'000'000}, {1, 0}}};
  for (const auto& setting : bad) {
    CHECK_EQ(error_of(shim::timer_settime(*t, timer_set_flags::none, setting)), EINVAL);
    CHECK_EQ(error_of(shim::timer_settime(*t, timer_set_flags::abstime, setting)), EINVAL);
  }
  auto left = times_of(shim::timer_gettime(*t).value());
  CHECK_LE(left.value, 1h);
  CHECK_GT(left.value, 59min);
  CHECK_EQ(left.interval, 7s);
  CHECK_EQ(error_of(shim::timer_settime(*t, static_cast<timer_set_flags>(~1), spec(2h))), 0);
  left = times_of(shim::timer_gettime(*t).value());
  CHECK_GT(left.value, 1h);

  const auto nobody = static_cast<shim::timer_id>(1 << 30);
  CHECK_EQ(error_of(shim::timer_settime(nobody, timer_set_flags::none, spec(1s))), EINVAL);
  CHECK_EQ(error_of(shim::timer_gettime(nobody)), EINVAL);
  CHECK_EQ(error_of(shim::timer_getoverrun(nobody)), EINVAL);
  CHECK_EQ(error_of(shim::timer_delete(nobody)), EINVAL);
}

TEST_CASE_FIXTURE(no_leak,
                  "P3: a zero value clears the interval too, and the old setting comes back") {
  const shim::posix_timer t = silent();
  arm(*t, timer_set_flags::none, 1h, 7s);
  const auto old = times_of(shim::timer_settime(*t, timer_set_flags::none, spec(0ns, 5ms)).value());
  CHECK_GT(old.value, 59min);
  CHECK_EQ(old.interval, 7s);
  accepted a;
  arm(a.id(), timer_set_flags::none, 0ns, 5ms);
  CHECK_EQ(times_of(shim::timer_gettime(a.id()).value()), times{});
}

TEST_CASE_FIXTURE(no_leak, "P5: the overrun is fixed when the notification is accepted") {
  accepted a;
  const auto first = now() + 1ms;
  arm(a.id(), timer_set_flags::abstime, first, 1ms);
  std::this_thread::sleep_for(12ms);
  CHECK_EQ(shim::timer_getoverrun(a.id()).value(), 0);  // still pending
  const auto before = now();
  const auto info = a.accept(slack);
  const auto after = now();
  REQUIRE(info);
  CHECK_EQ(info->si_code, SI_TIMER);
  CHECK_EQ(info->si_value.sival_int, 42);
  CHECK_GE(info->si_overrun, (before - first) / 1ms);
  CHECK_LE(info->si_overrun, (after - first) / 1ms);
  CHECK_EQ(shim::timer_getoverrun(a.id()).value(), info->si_overrun);
}

TEST_CASE_FIXTURE(no_leak, "P4, P9: setting and deleting drop what is pending") {
  accepted a;
  arm(a.id(), timer_set_flags::none, 1ns, 1ms);
  std::this_thread::sleep_for(2ms);
  arm(a.id(), timer_set_flags::none, 1h);
  CHECK_FALSE(a.accept(1ms));
  CHECK_EQ(shim::timer_getoverrun(a.id()).value(), 0);
}

TEST_CASE_FIXTURE(no_leak, "P7: asking is relative; an expired one-shot says nothing") {
  accepted a;
  arm(a.id(), timer_set_flags::abstime, now() + 1h);
  const auto left = times_of(shim::timer_gettime(a.id()).value());
  CHECK_LE(left.value, 1h);
  CHECK_GT(left.value, 59min);
  arm(a.id(), timer_set_flags::none, 1ns);
  std::this_thread::sleep_for(1ms);
  REQUIRE(a.accept(slack));
  CHECK_EQ(times_of(shim::timer_gettime(a.id()).value()), times{});
}

TEST_CASE_FIXTURE(no_leak,
                  "P8: one that tells nobody counts down all the same, and overruns never") {
  const shim::posix_timer t = silent();
  arm(*t, timer_set_flags::none, 1ms, 5ms);
  std::this_thread::sleep_for(12ms);
  const auto left = times_of(shim::timer_gettime(*t).value());
  CHECK_GT(left.value, 0ns);
  CHECK_LE(left.value, 5ms);
  CHECK_EQ(shim::timer_getoverrun(*t).value(), 0);
  arm(*t, timer_set_flags::none, 1ms);
  std::this_thread::sleep_for(2ms);
  CHECK_EQ(times_of(shim::timer_gettime(*t).value()), times{});
}

TEST_CASE_FIXTURE(no_leak, "P10: a forked child has none") {
  const shim::posix_timer t = silent();
  CHECK_EQ(in_child([&] { return error_of(shim::timer_gettime(*t)); }), EINVAL);
  CHECK_EQ(error_of(shim::timer_gettime(*t)), 0);
}
