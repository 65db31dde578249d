// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A child is a child however it was made, and whoever has a say at a fork may use timers in it.

#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "support.hpp"
#include "support/skipped.hpp"

using namespace preload_test;

namespace {

bool ends_well(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, __WALL) == -1 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int soon_due() {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const itimerspec soon = spec(30ms);
  REQUIRE_EQ(timerfd_settime(fd, 0, &soon, nullptr), 0);
  return fd;
}

/// In a child: a timer of the parent's comes, though nobody asks for it.
bool shares(int fd) { return readable(fd, 5000); }

int run_on_own_stack(void* fd) { _exit(shares(*static_cast<int*>(fd)) ? 0 : 1); }

struct way {
  const char* name;
  std::function<pid_t()> fork;
};

}  // namespace

TEST_CASE("F9: a child shares a timer, and has its own engine, by whatever call it was made") {
  const std::array<way, 5> ways{{
      {"fork", [] { return fork(); }},
      {"_Fork", [] { return _Fork(); }},
#if defined(SYS_fork)
      {"SYS_fork", [] { return static_cast<pid_t>(syscall(SYS_fork)); }},
#else
      {"fork", [] { return fork(); }},
#endif
      {"SYS_clone",
       [] { return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, 0, 0)); }},
      {"SYS_clone3",
       [] {
         std::array<std::uint64_t, 8> arguments{};
         arguments[4] = SIGCHLD;
         return static_cast<pid_t>(syscall(435, arguments.data(), sizeof arguments));
       }},
  }};
  for (const way& w : ways) {
    CAPTURE(std::string{w.name});
    const int fd = soon_due();
    const pid_t child = w.fork();
    if (child == 0) _exit(shares(fd) ? 0 : 1);
    // What the parent closes and opens anew meanwhile is another timer.
    close(fd);
    const timerfd other;
    CHECK_EQ(other.fd, fd);
    CHECK(ends_well(child));
    CHECK_FALSE(readable(other.fd));
  }
}

TEST_CASE("F9: a child of clone(3), which runs on a stack of its own") {
  int fd = soon_due();
  const own_stack stack;
  const pid_t child = clone(run_on_own_stack, stack.top(), SIGCHLD, &fd);
  REQUIRE_GT(child, 0);
  close(fd);
  CHECK(ends_well(child));
}

TEST_CASE("a child that ends its only thread has ended, also beside the engine's") {
  int fd = soon_due();
  const own_stack stack;
  const auto ends = [](pid_t child) {
    int status = 0;
    return eventually([&] { return waitpid(child, &status, WNOHANG) == child; }) &&
           status == 3 << 8;
  };
  CHECK(ends(clone([](void*) { return 3; }, stack.top(), SIGCHLD, nullptr)));
  const pid_t child = fork();
  if (child == 0) syscall(SYS_exit, 3);
  CHECK(ends(child));
  close(fd);
}

TEST_CASE("F9: a daemon's timer comes") {
  int ends[2];
  REQUIRE_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int fd = soon_due();
    if (daemon(1, 1) != 0) _exit(1);
    const char well = shares(fd) ? 'y' : 'n';
    (void)!write(ends[1], &well, 1);
    _exit(0);
  }
  CHECK(ends_well(child));
  close(ends[1]);
  char well = 0;
  CHECK_EQ(read(ends[0], &well, 1), 1);
  CHECK_EQ(well, 'y');
  close(ends[0]);
}

TEST_CASE("a thread may fork while others are told of timers in the middle of malloc") {
  CHECK(in_child([] {
    static std::atomic<int> told;
    static std::atomic<bool> ends;
    const auto use_malloc = [](void*) -> void* {
      void* blocks[64]{};
      for (std::size_t i = 1; !ends; ++i) {
        std::free(blocks[i * 37 % 64]);
        blocks[i * 37 % 64] = std::malloc(2000 + i * 7919 % 60'000);
      }
      return nullptr;
    };
    pthread_t threads[2];
    signal(SIGUSR1, [](int) { ++told; });
    for (pthread_t& t : threads) pthread_create(&t, nullptr, use_malloc, nullptr);
    const blocked here{SIGUSR1};
    const posix_timer t{SIGUSR1};
    if (t.set(100us, 100us) != 0) return false;
    for (int i = 0; i < 200; ++i)
      if (!in_child([] { return true; })) return false;
    t.set(0ns);
    ends = true;
    for (const pthread_t thread : threads) pthread_join(thread, nullptr);
    return told > 0;
  }));
}

TEST_CASE(
    "P13: a child's timer does not tell the parent, which has told a thread of its own just "
    "before") {
  CHECK(in_child([] {
    static std::atomic<int> told;
    static std::atomic<bool> ends;
    static std::atomic<pid_t> self;
    self = getpid();
    signal(SIGUSR1, [](int) { told += getpid() == self ? 1 : 0; });
    std::thread working{[] {
      while (!ends) {
      }
    }};
    bool is_well = true;
    {
      const blocked here{SIGUSR1};
      const posix_timer t{SIGUSR1};
      for (int i = 0; i < 20 && is_well; ++i) {
        const int before = told;
        is_well = t.set(1ms) == 0 && eventually([&] { return told > before; }) && in_child([] {
                    const blocked child{SIGUSR1};
                    const posix_timer own{SIGUSR1};
                    siginfo_t info{};
                    return own.set(1ns) == 0 && child.take(info) && info.si_code == SI_TIMER;
                  });
      }
    }
    ends = true;
    working.join();
    return is_well;
  }));
}

TEST_CASE("all threads have the credentials that a program gives itself") {
  if (geteuid() != 0) {
    return support::skipped("root, to give that up");
  }
  CHECK(in_child([] {
    const timerfd t;
    if (t.set(100s) != 0 || setgid(65534) != 0 || setuid(65534) != 0) return false;
    if (t.set(10ms) != 0 || !comes(t.fd)) return false;
    return std::system(
               "! cat /proc/$PPID/task/*/status 2>/dev/null | grep -E '^[UG]id:' | grep -v "
               "'65534.*65534'") == 0;
  }));
}

// Those of a library that was loaded first are called outside of all others.
namespace {

constinit bool is_at_work = false;
constinit timer_t made_at_fork{};
constinit bool was_made = false;

void use_timers() {
  if (!is_at_work) return;
  const itimerval s{{}, {100, 0}};
  setitimer(ITIMER_REAL, &s, nullptr);
}
void make_timers() {
  if (!is_at_work) return;
  use_timers();
  sigevent e{};
  e.sigev_notify = SIGEV_NONE;
  was_made = timer_create(CLOCK_MONOTONIC, &e, &made_at_fork) == 0;
}

// In .preinit_array: before the constructors of all libraries.
void register_first(int, char**, char**) { pthread_atfork(use_timers, use_timers, make_timers); }
[[gnu::section(".preinit_array"), gnu::used]] auto* const early = &register_first;

}  // namespace

TEST_CASE("handlers of pthread_atfork may use timers, whenever they were registered") {
  alarm(0);
  is_at_work = true;
  const bool is_well = in_child([] {
    is_at_work = false;
    return was_made && alarm(0) > 90 && timer_delete(made_at_fork) == 0;
  });
  is_at_work = false;
  CHECK(is_well);
  CHECK_GT(alarm(0), 90U);
}
