// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A program with megabytes of thread-local variables.
#include <signal.h>
#include <time.h>

static thread_local volatile char much[4 << 20];
static volatile sig_atomic_t count = 0;

int main() {
  struct sigaction a{};
  a.sa_handler = [](int) {
    count = count + 1;
    much[5] = 1;
  };
  sigaction(SIGUSR1, &a, nullptr);
  timer_t timer;
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  const itimerspec each{{0, 2'000'000}, {0, 2'000'000}};
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
      timer_settime(timer, 0, &each, nullptr) != 0)
    return 1;
  const timespec nap{0, 1'000'000};
  for (int i = 0; i < 5000 && count < 10; ++i) nanosleep(&nap, nullptr);
  return count >= 10 ? 0 : 2;
}
