// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

// The rules through the C library and the bare system calls, as a program has them that knows nothing of chime. Run
// twice: on the kernel, and with the engine under it (examples/preload). Both must pass.

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>

#include "support/slack.hpp"

namespace preload_test {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using support::slack;

inline timespec to_timespec(nanoseconds d) {
  return {d.count() / 1'000'000'000, d.count() % 1'000'000'000};
}
inline nanoseconds of(const timespec& t) {
  return std::chrono::seconds{t.tv_sec} + nanoseconds{t.tv_nsec};
}
inline itimerspec spec(nanoseconds value, nanoseconds interval = 0ns) {
  return {to_timespec(interval), to_timespec(value)};
}
inline nanoseconds now(clockid_t clock = CLOCK_MONOTONIC) {
  timespec t{};
  clock_gettime(clock, &t);
  return of(t);
}
/// Lets time pass, for timers that must have expired more than once.
inline void pass(nanoseconds d) {
  const timespec end = to_timespec(now() + d);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, nullptr) != 0) {
  }
}
/// A result of -1 as its errno, negative.
template <class T>
long err(T result) {
  return result == T(-1) ? -errno : static_cast<long>(result);
}
inline bool readable(int fd, int timeout = 0) {
  pollfd p{fd, POLLIN, 0};
  return poll(&p, 1, timeout) == 1 && (p.revents & POLLIN) != 0;
}
inline bool comes(int fd) {
  return readable(fd, static_cast<int>(std::chrono::milliseconds{slack}.count()));
}

/// Blocks a signal for a test; whatever is left of it at the end is taken.
class blocked {
 public:
  explicit blocked(int signo) : signo_{signo} {
    sigemptyset(&set_);
    sigaddset(&set_, signo);
    pthread_sigmask(SIG_BLOCK, &set_, &old_);
  }
  blocked(const blocked&) = delete;
  blocked& operator=(const blocked&) = delete;
  ~blocked() {
    siginfo_t info;
    while (take(info, 0ns)) {
    }
    pthread_sigmask(SIG_SETMASK, &old_, nullptr);
  }
  bool take(siginfo_t& info, nanoseconds timeout = slack) const {
    const timespec t = to_timespec(timeout);
    return sigtimedwait(&set_, &info, &t) == signo_;
  }
  bool pending() const {
    sigset_t p;
    sigpending(&p);
    return sigismember(&p, signo_) == 1;
  }
  const sigset_t& set() const { return set_; }

 private:
  int signo_;
  sigset_t set_{};
  sigset_t old_{};
};

/// Waits for a condition that must come.
template <class Condition>
bool eventually(Condition holds) {
  for (const auto end = now() + slack; !holds(); pass(200us))
    if (now() > end) return false;
  return true;
}

/// Runs `body` in a child; true if it returned true there.
template <class Body>
bool in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// A stack for a child of clone(3).
class own_stack {
 public:
  own_stack()
      : memory_{mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)} {
    REQUIRE_NE(memory_, MAP_FAILED);
  }
  own_stack(const own_stack&) = delete;
  own_stack& operator=(const own_stack&) = delete;
  ~own_stack() { munmap(memory_, size); }
  void* top() const { return static_cast<char*>(memory_) + size; }

 private:
  static constexpr std::size_t size = std::size_t{256} * 1024;
  void* memory_;
};

struct timerfd {
  explicit timerfd(int clock = CLOCK_MONOTONIC, int flags = TFD_NONBLOCK)
      : fd{timerfd_create(clock, flags)} {
    REQUIRE_GE(fd, 0);
  }
  timerfd(const timerfd&) = delete;
  timerfd& operator=(const timerfd&) = delete;
  ~timerfd() { close(fd); }
  long set(nanoseconds value, nanoseconds interval = 0ns, int flags = 0,
           itimerspec* old = nullptr) const {
    const itimerspec s = spec(value, interval);
    return err(timerfd_settime(fd, flags, &s, old));
  }
  itimerspec get() const {
    itimerspec s{};
    REQUIRE_EQ(timerfd_gettime(fd, &s), 0);
    return s;
  }
  /// The count, or a negative errno.
  long take() const {
    std::uint64_t n = 0;
    const ssize_t got = read(fd, &n, sizeof n);
    return got == 8 ? static_cast<long>(n) : err(got);
  }
  int fd;
};

struct posix_timer {
  explicit posix_timer(int signo, int clock = CLOCK_MONOTONIC, int notify = SIGEV_SIGNAL) {
    sigevent e{};
    e.sigev_notify = notify;
    e.sigev_signo = signo;
    e.sigev_value.sival_int = 4711;
    if (notify == SIGEV_THREAD_ID) e._sigev_un._tid = gettid();
    REQUIRE_EQ(timer_create(clock, &e, &id), 0);
  }
  posix_timer(const posix_timer&) = delete;
  posix_timer& operator=(const posix_timer&) = delete;
  ~posix_timer() {
    if (owned) timer_delete(id);
  }
  long set(nanoseconds value, nanoseconds interval = 0ns, int flags = 0,
           itimerspec* old = nullptr) const {
    const itimerspec s = spec(value, interval);
    return err(timer_settime(id, flags, &s, old));
  }
  itimerspec get() const {
    itimerspec s{};
    REQUIRE_EQ(timer_gettime(id, &s), 0);
    return s;
  }
  timer_t id{};
  bool owned = true;
};

}  // namespace preload_test
