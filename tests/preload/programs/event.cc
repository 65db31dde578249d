// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// libevent, which can keep its time by a timerfd (EVENT_PRECISE_TIMER): 20 ticks of 5 ms, and SIGALRM by alarm.
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>

namespace {
int ticks = 0;
int alarms = 0;
event_base* base = nullptr;
void end() {
  if (ticks >= 20 && alarms == 1) event_base_loopbreak(base);
}
}  // namespace

int main() {
  setenv("EVENT_PRECISE_TIMER", "1", 1);
  base = event_base_new();
  event* tick = event_new(base, -1, EV_PERSIST, [](evutil_socket_t, short, void*) { ++ticks, end(); }, nullptr);
  const auto on_alarm = [](evutil_socket_t, short, void*) { ++alarms, end(); };
  event* alarmed = evsignal_new(base, SIGALRM, on_alarm, nullptr);
  const timeval every{0, 5000};
  event_add(tick, &every);
  event_add(alarmed, nullptr);
  alarm(1);
  event_base_dispatch(base);
  std::printf("libevent: %d ticks, %d alarm\n", ticks, alarms);
  return ticks >= 20 && alarms == 1 ? 0 : 1;
}
