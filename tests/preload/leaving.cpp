// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A thread may leave a wait at any moment, by pthread_cancel or siglongjmp, also when it has just taken an expiration.
// That one is lost, and the timer goes on.

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>

#include "support.hpp"

using namespace preload_test;

namespace {

constexpr int rounds = 150;

/// Threads that wait, and are cancelled while they do.
template <class Wait, class GoesOn>
void cancel_waiters(Wait wait, GoesOn goes_on) {
  for (int i = 0; i < rounds; ++i) {
    pthread_t thread{};
    const auto run = [](void* how) -> void* {
      for (;;) (*static_cast<Wait*>(how))();
    };
    REQUIRE_EQ(pthread_create(&thread, nullptr, run, &wait), 0);
    pass(700us + i * 1us);
    pthread_cancel(thread);
    pthread_join(thread, nullptr);
    REQUIRE(goes_on());
  }
}

sigjmp_buf back;
std::atomic<bool> is_waiting = false;

/// A wait that is left by a handler, from another thread's signal.
template <class Wait, class GoesOn>
void jump_out_of(Wait wait, GoesOn goes_on) {
  struct sigaction a{};
  struct sigaction old{};
  a.sa_handler = [](int) {
    if (is_waiting.exchange(false)) siglongjmp(back, 1);
  };
  sigaction(SIGUSR2, &a, &old);
  static pthread_t waiter;
  waiter = pthread_self();
  static std::atomic<bool> ends;
  ends = false;
  pthread_t other{};
  const auto interrupt = [](void*) -> void* {
    for (int i = 0; !ends; ++i) {
      pass(700us + i % rounds * 1us);
      pthread_kill(waiter, SIGUSR2);
    }
    return nullptr;
  };
  REQUIRE_EQ(pthread_create(&other, nullptr, interrupt, nullptr), 0);
  static int left;  // (a local variable may be lost at a jump)
  static bool is_well;
  left = rounds;
  is_well = true;
  if (sigsetjmp(back, 1) != 0) is_well = is_well && goes_on();
  if (left-- > 0) {
    is_waiting = true;
    for (;;) wait();
  }
  ends = true;
  pthread_join(other, nullptr);
  sigaction(SIGUSR2, &old, nullptr);
  CHECK(is_well);
}

template <class Wait, class GoesOn>
void leave(Wait wait, GoesOn goes_on) {
  cancel_waiters(wait, goes_on);
  jump_out_of(wait, goes_on);
}

}  // namespace

TEST_CASE("a read of a timerfd that is left") {
  const timerfd t{CLOCK_MONOTONIC, 0};
  REQUIRE_EQ(t.set(100us, 100us), 0);
  leave(
      [&] {
        std::uint64_t n = 0;
        (void)!read(t.fd, &n, sizeof n);
      },
      [&] { return eventually([&] { return readable(t.fd); }); });
  for (int i = 0; i < 3; ++i) {
    REQUIRE(comes(t.fd));
    CHECK_GT(t.take(), 0);
  }
}

TEST_CASE("a wait for a timer's signal that is left") {
  for (const int signo : {SIGUSR1, SIGRTMIN + 3}) {
    const blocked signal{signo};
    const posix_timer t{signo};
    REQUIRE_EQ(t.set(100us, 100us), 0);
    leave(
        [&] {
          siginfo_t info;
          sigwaitinfo(&signal.set(), &info);
        },
        [&] { return eventually([&] { return signal.pending(); }); });
    siginfo_t info{};
    for (int i = 0; i < 3; ++i) CHECK(signal.take(info));
    t.set(0ns);
  }
}

TEST_CASE("a read of a signalfd that is left") {
  const blocked signal{SIGUSR1};
  const posix_timer t{SIGUSR1};
  const int fd = signalfd(-1, &signal.set(), SFD_CLOEXEC);
  REQUIRE_GE(fd, 0);
  REQUIRE_EQ(t.set(100us, 100us), 0);
  leave(
      [&] {
        signalfd_siginfo info;
        (void)!read(fd, &info, sizeof info);
      },
      [&] { return eventually([&] { return readable(fd); }); });
  signalfd_siginfo info{};
  for (int i = 0; i < 3; ++i) {
    REQUIRE(comes(fd));
    CHECK_EQ(read(fd, &info, sizeof info), sizeof info);
  }
  t.set(0ns);
  close(fd);
}

TEST_CASE("a program ends with its last thread") {
  static pid_t child;
  pthread_t thread{};
  const auto run = [](void*) -> void* {
    child = fork();
    if (child == 0) alarm(20);
    return nullptr;  // in the child, too: it has no other
  };
  REQUIRE_EQ(pthread_create(&thread, nullptr, run, nullptr), 0);
  pthread_join(thread, nullptr);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
}
