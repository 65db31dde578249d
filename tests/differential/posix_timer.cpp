// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// posix_timer_model beside the kernel's POSIX timers, in random operations. Needs root
// (timer_list). Usage: posix_timer [seed] [operations] [cpu]
//
// The CPU clocks are left out unless asked for: on a busy machine the kernel is several ticks late
// on THREAD_CPUTIME, and the search for the instant at which it looked fails.

#include "beside.hpp"

#include <chime/engine/posix_timer_model.hpp>

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

using namespace diff;
using chime::clock_kind;
using chime::reference;

namespace {

void on_signal(int) {}

struct pair {
  clock_kind clock;
  bool none;
  int timer = -1;
  engine::posix_timer_model model{clock,
                                  none ? engine::notifies::never : engine::notifies::by_signal};
  std::uint32_t tag = 0;
  std::string log{};

  [[noreturn]] void fail(const std::string& what) {
    std::printf("DIFFERS: clock %d%s: %s\n%s", static_cast<int>(clock), none ? " NONE" : "",
                what.c_str(), log.c_str());
    std::exit(1);
  }
  bool cpu() const { return chime::counts_cpu(clock); }
  nanoseconds time() const { return now(model.filed_on()); }
  /// While a timer is armed the kernel's sample of the process's CPU clock stands still between
  /// ticks.
  nanoseconds before() const {
    return time() -
           (clock == clock_kind::process_cpu ? std::chrono::milliseconds{9} : nanoseconds{0});
  }

  void settle() {
    // A CPU timer is looked at by the tick that finds its thread running: late on a busy machine
    // (show/cpu_late.c).
    const nanoseconds slack =
        cpu() ? std::chrono::milliseconds{150} : std::chrono::microseconds{600};
    const nanoseconds d = model.next_deadline();
    if (d > time() + slack) return;
    sleep_until(model.filed_on(), d + slack < time() ? time() + slack : d + slack);
    if (model.expire(time())) tag = model.sequence();
  }
  void gettime() {
    settle();
    itimerspec s;
    const nanoseconds t0 = before();
    syscall(SYS_timer_gettime, timer, &s);
    const nanoseconds t1 = time();
    const auto ask = [&](nanoseconds at) { return engine::posix_timer_model{model}.gettime(at); };
    const auto t = instant_of_reading(t0, t1, spec(s), ask);
    if (!t)
      fail("gettime: kernel " + std::to_string(spec(s).value.count()) + ", model " +
           std::to_string(ask(t1).value.count()));
    model.gettime(*t);
    log += "gettime " + std::to_string(spec(s).value.count()) + "\n";
    const int overrun = static_cast<int>(syscall(SYS_timer_getoverrun, timer));
    if (overrun != model.getoverrun()) fail("getoverrun: kernel " + std::to_string(overrun));
  }
  void accept() {
    settle();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    siginfo_t info{};
    const timespec zero{};
    const nanoseconds t0 = before();
    const bool kernel = sigtimedwait(&set, &info, &zero) > 0;
    const nanoseconds t1 = time();
    const auto ask = [&](nanoseconds at) {
      return engine::posix_timer_model{model}.accept(at, tag);
    };
    log += "accept " + std::to_string(kernel) + " " + std::to_string(info.si_overrun) + "\n";
    if (ask(t1).counts != kernel) fail("acceptance");
    if (!kernel) return;
    const auto k = static_cast<std::uint64_t>(info.si_overrun) + 1;
    const auto t = instant_of_count(t0, t1, k, [&](nanoseconds at) { return ask(at).expirations; });
    if (!t)
      fail("overrun: kernel " + std::to_string(info.si_overrun) + ", model " +
           std::to_string(ask(t1).overrun()));
    model.accept(*t, tag);
  }
  void ignore() {
    settle();
    signal(SIGRTMIN, SIG_IGN);
    log += "ignore\n";
    model.ignored();
  }
  void heed() {
    settle();
    signal(SIGRTMIN, on_signal);
    log += "heed\n";
    if (model.no_longer_ignored()) tag = model.sequence();
  }
  void settime(nanoseconds value, nanoseconds interval, bool absolute) {
    settle();
    const engine::new_setting next{value, interval,
                                   absolute ? reference::absolute : reference::relative};
    const itimerspec s{ts(interval), ts(value)};
    itimerspec old;
    const engine::base there = model.filed_on(next.counted_from);
    log += "settime " + std::to_string(value.count()) + " " + std::to_string(interval.count()) +
           (absolute ? " abs" : "") + "\n";
    const nanoseconds t0 = before();
    const nanoseconds u0 = now(there);
    const int error =
        syscall(SYS_timer_settime, timer, (absolute ? 1 : 0) | 6, &s, &old) < 0 ? errno : 0;
    const nanoseconds u1 = now(there);
    const nanoseconds t1 = time();
    const auto set = [&](nanoseconds at, nanoseconds u) {
      auto copy = model;
      return copy.settime(next, {at, u});
    };
    if (static_cast<int>(set(t1, u1).error) != error)
      fail("settime: kernel errno " + std::to_string(error));
    nanoseconds at = t1;
    if (error == 0) {
      const auto t =
          instant_of_reading(t0, t1, spec(old), [&](nanoseconds x) { return set(x, u1).old; });
      if (!t)
        fail("old setting: kernel " + std::to_string(spec(old).value.count()) + ", model " +
             std::to_string(set(t1, u1).old.value.count()));
      at = *t;
    }
    nanoseconds u = u1;
    if (!absolute && value.count() > 0 && error != EINVAL && !none &&
        value < std::chrono::seconds{100}) {
      const auto d = filed_deadline(there, "posix_timer_fn", u0 + value, u1 + value);
      if (!d) fail("no such deadline on the expected base");
      u = *d - value;
    }
    model.settime(next, {at, u});
  }
};

}  // namespace

int main(int argc, char** argv) {
  const auto [seed, operations] = start(argc, argv, 300);
  std::mt19937_64 random{seed};
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  constexpr std::pair<clock_kind, clockid_t> clocks[] = {
      {clock_kind::monotonic, CLOCK_MONOTONIC},
      {clock_kind::realtime, CLOCK_REALTIME},
      {clock_kind::boottime, CLOCK_BOOTTIME},
      {clock_kind::tai, CLOCK_TAI},
      {clock_kind::thread_cpu, CLOCK_THREAD_CPUTIME_ID},
      {clock_kind::process_cpu, CLOCK_PROCESS_CPUTIME_ID}};
  for (const bool none : {false, true}) {
    for (const auto& [kind, clock] : clocks) {
      if (chime::counts_cpu(kind) && argc < 4) continue;
      signal(SIGRTMIN, on_signal);
      pair p{.clock = kind, .none = none};
      sigevent event{};
      event.sigev_notify = none ? SIGEV_NONE : SIGEV_SIGNAL;
      event.sigev_signo = SIGRTMIN;
      if (syscall(SYS_timer_create, clock, &event, &p.timer) < 0)
        std::perror("timer_create"), std::exit(2);
      const int count = p.cpu() ? operations / 5 : operations;
      for (int i = 0; i < count; ++i) {
        switch (below(12)) {
          case 0:
          case 1: {
            const bool absolute = p.cpu() || none || below(3) != 0;
            constexpr std::int64_t intervals[] = {0,         0,         1,         1000, 77'777,
                                                  3'000'000, 3'000'000, INT64_MAX, -1};
            nanoseconds value{below(8) == 0 ? 0 : 1'000'000 + below(9'000'000)};
            if (absolute && value.count() != 0)
              value +=
                  now(p.model.filed_on(reference::absolute)) - nanoseconds{below(2) * 11'000'000};
            if (!absolute && value.count() != 0) value += std::chrono::milliseconds{30};
            if (below(20) == 0) value = nanoseconds{INT64_MAX - below(2)};
            if (below(20) == 0 || value.count() < 0) value = nanoseconds{-1};
            nanoseconds interval{intervals[below(9)]};
            // CPU clocks reckon without sign: past the end of time they go on, where the rules (E8)
            // saturate.
            if (p.cpu() && interval == nanoseconds::max()) interval = std::chrono::hours{1};
            p.settime(value, interval, absolute);
            break;
          }
          case 2:
          case 3: p.gettime(); break;
          case 4: p.ignore(); break;
          case 5: p.heed(); break;
          case 6:
          case 7:
          case 8: {
            const nanoseconds nap{below(7'000'000)};
            const timespec t = ts(nap);
            if (p.cpu()) {
              sleep_until(p.model.filed_on(), p.time() + nap);
            } else {
              nanosleep(&t, nullptr);
            }
            break;
          }
          default: p.accept(); break;
        }
      }
      syscall(SYS_timer_delete, p.timer);
      std::printf("clock %d%s: %d operations agree\n", static_cast<int>(kind), none ? " NONE" : "",
                  count);
    }
  }
}
