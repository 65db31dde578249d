// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What is async-signal-safe stays so, also for a program that has had no timer yet, and in the middle of malloc.

#include <sys/time.h>

#include <atomic>

#include "support.hpp"

using namespace preload_test;

namespace {

/// Lets another process send SIGUSR1 to this one, while this one is in malloc most of the time.
void be_interrupted_in_malloc(const std::atomic<int>& handled) {
  const pid_t self = getpid();
  const pid_t other = fork();
  if (other == 0) {
    while (getppid() == self) {
      pass(150us);
      kill(self, SIGUSR1);
    }
    _exit(0);
  }
  for (std::size_t size = 24; handled < 5; size = size % 4000 + 24) {
    void* blocks[16];
    for (void*& b : blocks) b = std::malloc(size);
    for (void* b : blocks) std::free(b);
  }
  kill(other, SIGKILL);
  while (waitpid(other, nullptr, 0) != other) {
  }
}

std::atomic<int> handled = 0;

/// Runs a test case that is skipped otherwise in a program of its own, which ends well.
bool in_fresh_program(const char* test_case) {
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "fresh", "--no-skip", "--minimal", test_case,
          static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("(in a fresh program) a handler that interrupts malloc arms timers" * doctest::skip()) {
  timer_t id{};
  sigevent e{};
  e.sigev_notify = SIGEV_NONE;
  REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, &e, &id), 0);
  static timer_t timer;
  timer = id;
  handled = 0;
  signal(SIGUSR1, [](int) {
    const itimerspec s = spec(1000s);
    timer_settime(timer, 0, &s, nullptr);
    alarm(1000);
    ++handled;
  });
  be_interrupted_in_malloc(handled);
  CHECK_GE(alarm(0), 990U);
  CHECK_EQ(timer_delete(id), 0);
}

TEST_CASE("(in a fresh program) a handler that interrupts malloc forks" * doctest::skip()) {
  alarm(20);  // ends the program where it hangs
  handled = 0;
  signal(SIGUSR1, [](int) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
    ++handled;
  });
  be_interrupted_in_malloc(handled);
  CHECK_GT(alarm(0), 0U);
}

TEST_CASE("the first timer of a program may be armed in a handler that interrupts malloc") {
  for (int i = 0; i < 20; ++i)
    REQUIRE(in_fresh_program("--test-case=(in a fresh program)*arms timers"));
}

TEST_CASE("a program with timers may fork in a handler that interrupts malloc") {
  for (int i = 0; i < 5; ++i) REQUIRE(in_fresh_program("--test-case=(in a fresh program)*forks"));
}
