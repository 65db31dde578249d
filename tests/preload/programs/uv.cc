// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// libuv: 20 ticks of 5 ms, and a timerfd among the descriptors that it polls.
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include <cstdint>
#include <cstdio>

namespace {
int ticks = 0;
std::uint64_t reads = 0;
int fd = -1;
}  // namespace

int main() {
  uv_loop_t* loop = uv_default_loop();
  fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const itimerspec every{{0, 5'000'000}, {0, 5'000'000}};
  timerfd_settime(fd, 0, &every, nullptr);
  uv_timer_t timer;
  uv_timer_init(loop, &timer);
  uv_timer_start(
      &timer,
      [](uv_timer_t* t) {
        if (++ticks == 20) uv_timer_stop(t);
      },
      5, 5);
  uv_poll_t poll;
  uv_poll_init(loop, &poll, fd);
  uv_poll_start(&poll, UV_READABLE, [](uv_poll_t* p, int, int) {
    std::uint64_t n = 0;
    if (read(fd, &n, sizeof n) == sizeof n) reads += n;
    if (reads >= 20) uv_poll_stop(p);
  });
  uv_run(loop, UV_RUN_DEFAULT);
  std::printf("libuv: %d ticks, %llu read\n", ticks, static_cast<unsigned long long>(reads));
  return ticks == 20 && reads >= 20 ? 0 : 1;
}
