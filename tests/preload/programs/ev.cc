// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// libev, which keeps a timerfd of its own to be told that the clock was set: 20 ticks of 5 ms, 5 of a wall
// clock, a timerfd among the descriptors that it watches, and SIGALRM by setitimer.
#include <ev.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

namespace {
int ticks = 0;
int walls = 0;
int alarms = 0;
std::uint64_t reads = 0;
void end(struct ev_loop* loop) {
  if (ticks >= 20 && walls >= 5 && alarms >= 3 && reads >= 20) ev_break(loop, EVBREAK_ALL);
}
}  // namespace

int main() {
  struct ev_loop* loop = ev_default_loop(0);
  ev_timer tick;
  ev_timer_init(&tick, ([](struct ev_loop* l, ev_timer*, int) { ++ticks, end(l); }), 0.005, 0.005);
  ev_timer_start(loop, &tick);
  ev_periodic wall;
  ev_periodic_init(&wall, ([](struct ev_loop* l, ev_periodic*, int) { ++walls, end(l); }), 0., 0.02, nullptr);
  ev_periodic_start(loop, &wall);
  ev_signal alarmed;
  ev_signal_init(&alarmed, ([](struct ev_loop* l, ev_signal*, int) { ++alarms, end(l); }), SIGALRM);
  ev_signal_start(loop, &alarmed);
  const itimerval ring{{0, 10'000}, {0, 10'000}};
  setitimer(ITIMER_REAL, &ring, nullptr);

  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const itimerspec every{{0, 5'000'000}, {0, 5'000'000}};
  timerfd_settime(fd, 0, &every, nullptr);
  ev_io readable;
  ev_io_init(&readable, ([](struct ev_loop* l, ev_io* io, int) {
               std::uint64_t n = 0;
               if (read(io->fd, &n, sizeof n) == sizeof n) reads += n;
               end(l);
             }),
             fd, EV_READ);
  ev_io_start(loop, &readable);
  ev_run(loop, 0);
  std::printf("libev: %d ticks, %d of the wall clock, %d alarms, %llu read\n", ticks, walls, alarms,
              static_cast<unsigned long long>(reads));
  return ticks >= 20 && walls >= 5 && alarms >= 3 && reads >= 20 ? 0 : 1;
}
