// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The program's clocks 60 times as fast, and set by the program: by function and by syscall() they agree, timers
// follow, and the machine's clock is left alone. (To make sure of that, the kernel refuses to set it.)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace {

constexpr double hour = 3600;

bool refuse_to_set_clocks() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_settime, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_settimeofday, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

double seconds(const timespec& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9; }
double now(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return seconds(t);
}
double now_by_syscall(clockid_t clock) {
  timespec t{};
  syscall(SYS_clock_gettime, clock, &t);
  return seconds(t);
}

int line = 0;
bool near(double a, double b) { return a - b < 300 && b - a < 300; }  // five seconds of the machine's
#define CHECK(what) \
  if (!(what) && line == 0) line = __LINE__

/// It waits for 30 s, not for less and not for 30 s of the machine's.
template <class Wait>
bool takes_30(Wait wait) {
  const double before = now(CLOCK_MONOTONIC);
  timespec until{};
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += 30;
  const bool worked = wait(until);
  return worked && now(CLOCK_MONOTONIC) >= before + 30 && near(now(CLOCK_MONOTONIC), before + 30);
}

void* lock(void* mutex) {
  pthread_mutex_lock(static_cast<pthread_mutex_t*>(mutex));
  return nullptr;
}

void check_waits() {
  pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&taken);
  CHECK(takes_30([&](const timespec& until) {
    return pthread_mutex_clocklock(&taken, CLOCK_MONOTONIC, &until) == ETIMEDOUT;
  }));
  pthread_t waiting{};
  CHECK(pthread_create(&waiting, nullptr, lock, &taken) == 0);
  CHECK(takes_30([&](const timespec& until) {
    return pthread_clockjoin_np(waiting, nullptr, CLOCK_MONOTONIC, &until) == ETIMEDOUT;
  }));
  pthread_mutex_unlock(&taken);
  pthread_join(waiting, nullptr);
  CHECK(takes_30([](const timespec&) {
    const timespec span{30, 0};
    return thrd_sleep(&span, nullptr) == 0;
  }));
}

}  // namespace

int main() {
  if (!refuse_to_set_clocks()) return 77;
  const double wall = now(CLOCK_REALTIME);
  const double monotonic = now(CLOCK_MONOTONIC);
  CHECK(near(now_by_syscall(CLOCK_REALTIME), wall));
  CHECK(near(now_by_syscall(CLOCK_MONOTONIC), monotonic));
  timeval of_day{};
  CHECK(syscall(SYS_gettimeofday, &of_day, nullptr) == 0 && near(static_cast<double>(of_day.tv_sec), wall));
  timespec utc{};
  CHECK(timespec_get(&utc, TIME_UTC) == TIME_UTC && near(seconds(utc), wall));
  timespec span{3, 0};
  CHECK(syscall(SYS_nanosleep, &span, nullptr) == 0);
  CHECK(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &span, nullptr) == 0);
  CHECK(now(CLOCK_MONOTONIC) >= monotonic + 6);
  CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8) == -1 && errno == EFAULT);

  // An absolute timer that the step makes due, and one that is to be told of it.
  const int due = timerfd_create(CLOCK_REALTIME, 0);
  const int told = timerfd_create(CLOCK_REALTIME, 0);
  itimerspec at{};
  at.it_value.tv_sec = static_cast<time_t>(wall + hour / 2);
  CHECK(timerfd_settime(due, TFD_TIMER_ABSTIME, &at, nullptr) == 0);
  at.it_value.tv_sec = static_cast<time_t>(wall + 100 * hour);
  CHECK(timerfd_settime(told, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, nullptr) == 0);

  const timespec later{static_cast<time_t>(wall + hour), 0};
  CHECK(clock_settime(CLOCK_MONOTONIC, &later) == -1 && errno == EINVAL);
  CHECK(clock_settime(CLOCK_REALTIME, &later) == 0);
  CHECK(near(now(CLOCK_REALTIME), wall + hour));
  CHECK(near(now_by_syscall(CLOCK_REALTIME), wall + hour));
  CHECK(near(static_cast<double>(time(nullptr)), wall + hour));
  CHECK(near(now(CLOCK_MONOTONIC), monotonic + 6));
  std::uint64_t count = 0;
  CHECK(read(due, &count, sizeof count) == sizeof count && count == 1);
  CHECK(read(told, &count, sizeof count) == -1 && errno == ECANCELED);

  const timeval back{static_cast<time_t>(wall), 0};
  CHECK(settimeofday(&back, nullptr) == 0);
  CHECK(near(now(CLOCK_REALTIME), wall));
  const timespec invalid{0, 1'000'000'000};
  CHECK(clock_settime(CLOCK_REALTIME, &invalid) == -1 && errno == EINVAL);
  CHECK(syscall(SYS_clock_settime, CLOCK_REALTIME, &later) == 0);
  CHECK(near(now(CLOCK_REALTIME), wall + hour));
  check_waits();
  if (line != 0) std::printf("clocks: line %d\n", line);
  return line == 0 ? 0 : 1;
}
