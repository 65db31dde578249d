// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// timerfd_model beside the kernel's timerfd, in random operations. Needs root (timer_list,
// clock_adjtime). Usage: timerfd [seed] [operations]

#include "beside.hpp"

#include <chime/engine/timerfd_model.hpp>

#include <support/clock_setter.hpp>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <string>

using namespace diff;
using chime::clock_kind;
using chime::reference;

#define SET_TICKS _IOW('T', 0, std::uint64_t)

namespace {

struct pair {
  clock_kind clock;
  int fd;
  engine::timerfd_model model{clock};
  std::string log{};

  [[noreturn]] void fail(const std::string& what) {
    std::printf("DIFFERS: clock %d: %s\n%s", static_cast<int>(clock), what.c_str(), log.c_str());
    std::exit(1);
  }
  nanoseconds time() const { return now(model.filed_on()); }

  /// Keeps clear of the moment of expiry: the kernel's interrupt may come a little later than its
  /// deadline.
  void settle() {
    constexpr auto slack = std::chrono::microseconds{600};
    const nanoseconds d = model.next_deadline();
    if (d > time() + slack) return;
    sleep_until(model.filed_on(), d + slack < time() ? time() + slack : d + slack);
    model.expire(time());
  }
  void poll_agrees() {
    pollfd p{fd, POLLIN, 0};
    const bool kernel = ::poll(&p, 1, 0) == 1;
    if (kernel != model.readable()) fail("poll: kernel " + std::to_string(kernel));
  }
  void gettime() {
    settle();
    itimerspec s;
    const nanoseconds t0 = time();
    timerfd_gettime(fd, &s);
    const nanoseconds t1 = time();
    const auto t = instant_of_reading(
        t0, t1, spec(s), [&](nanoseconds at) { return engine::timerfd_model{model}.gettime(at); });
    if (!t)
      fail("gettime: kernel " + std::to_string(spec(s).value.count()) + ", model " +
           std::to_string(engine::timerfd_model{model}.gettime(t1).value.count()));
    model.gettime(*t);
    // Read as 0 although it goes on: the deadline came while the kernel read its clock twice, and
    // with so short an interval nobody can say which deadline it was. Start afresh.
    if (s.it_value.tv_nsec == 0 && s.it_value.tv_sec == 0 && ns(s.it_interval).count() > 0 &&
        ns(s.it_interval) <= t1 - t0) {
      settime(nanoseconds{0}, nanoseconds{0}, false, false);
    }
    log += "gettime " + std::to_string(spec(s).value.count()) + "\n";
  }
  void read() {
    settle();
    std::uint64_t n = 0;
    const nanoseconds t0 = time();
    const int error = ::read(fd, &n, sizeof n) < 0 ? errno : 0;
    const nanoseconds t1 = time();
    const auto expected = engine::timerfd_model{model}.read(t1);
    if (static_cast<int>(expected.error) != error)
      fail("read: kernel errno " + std::to_string(error));
    nanoseconds at = t1;
    if (error == 0) {
      const auto t = instant_of_count(
          t0, t1, n, [&](nanoseconds x) { return engine::timerfd_model{model}.read(x).count; });
      if (!t)
        fail("read: kernel " + std::to_string(n) + ", model " + std::to_string(expected.count));
      at = *t;
    }
    model.read(at);
    log += "read " + std::to_string(n) + " errno " + std::to_string(error) + "\n";
  }
  void set_ticks(std::uint64_t n) {
    settle();
    const int error = ioctl(fd, SET_TICKS, &n) < 0 ? errno : 0;
    log += "set_ticks " + std::to_string(n) + "\n";
    if (static_cast<int>(model.set_ticks(n)) != error)
      fail("set_ticks: kernel errno " + std::to_string(error));
  }
  void nudge(support::clock_setter& setter) {
    settle();
    if (!setter.step() || !setter.step()) {
      std::puts("SKIPPED: this run sets the clock, and that takes CAP_SYS_TIME");
      std::exit(77);
    }
    log += "nudge\n";
    model.clock_was_set();
    model.clock_was_set();
  }
  void settime(nanoseconds value, nanoseconds interval, bool absolute, bool cancel) {
    settle();
    const engine::new_setting next{
        value, interval, absolute ? reference::absolute : reference::relative,
        cancel ? chime::on_clock_set::cancel : chime::on_clock_set::follow};
    const itimerspec s{ts(interval), ts(value)};
    itimerspec old;
    const engine::base there = model.filed_on(next.counted_from);
    log += "settime " + std::to_string(value.count()) + " " + std::to_string(interval.count()) +
           (absolute ? " abs" : "") + (cancel ? " cancel" : "") + "\n";
    const nanoseconds t0 = time();
    const nanoseconds u0 = now(there);
    const int error =
        timerfd_settime(fd, (absolute ? 1 : 0) | (cancel ? 2 : 0), &s, &old) < 0 ? errno : 0;
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
    if (!absolute && value.count() > 0 && error != EINVAL && value < std::chrono::seconds{100}) {
      const auto d =
          filed_deadline(there,
                         clock == clock_kind::realtime_alarm || clock == clock_kind::boottime_alarm
                             ? "alarmtimer_fired"
                             : "timerfd_tmrproc",
                         u0 + value, u1 + value);
      if (!d) fail("no such deadline on the expected base");
      u = *d - value;
    }
    model.settime(next, {at, u});
  }
};

}  // namespace

int main(int argc, char** argv) {
  const auto [seed, operations] = start(argc, argv, 300);
  support::clock_setter clock_setter;  // no other test may set the clock meanwhile
  std::mt19937_64 random{seed};
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  constexpr std::pair<clock_kind, clockid_t> clocks[] = {
      {clock_kind::monotonic, CLOCK_MONOTONIC},
      {clock_kind::realtime, CLOCK_REALTIME},
      {clock_kind::boottime, CLOCK_BOOTTIME},
      {clock_kind::realtime_alarm, CLOCK_REALTIME_ALARM},
      {clock_kind::boottime_alarm, CLOCK_BOOTTIME_ALARM}};
  for (const auto& [kind, clock] : clocks) {
    pair p{.clock = kind, .fd = timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC)};
    if (p.fd < 0) std::perror("timerfd_create"), std::exit(2);
    constexpr std::int64_t intervals[] = {0,         0,         1,         1000, 77'777,
                                          3'000'000, 3'000'000, INT64_MAX, -1};
    for (int i = 0; i < operations; ++i) {
      switch (below(13)) {
        case 0:
        case 1:
        case 2: {
          const bool absolute = below(3) != 0;
          const bool cancel = below(2) != 0;
          nanoseconds value{below(8) == 0 ? 0 : 1'000'000 + below(9'000'000)};
          if (absolute && value.count() != 0)
            value +=
                now(p.model.filed_on(reference::absolute)) - nanoseconds{below(2) * 20'000'000};
          if (!absolute && value.count() != 0) value += std::chrono::milliseconds{30};
          if (below(20) == 0) value = nanoseconds{INT64_MAX - below(2)};
          if (below(20) == 0) value = nanoseconds{-1};
          p.settime(value, nanoseconds{intervals[below(9)]}, absolute, cancel);
          break;
        }
        case 3:
        case 4: p.gettime(); break;
        case 5: p.set_ticks(static_cast<std::uint64_t>(below(12) == 0 ? -1 : below(4))); break;
        case 6:
          if (kind == clock_kind::realtime || kind == clock_kind::realtime_alarm)
            p.nudge(clock_setter);
          break;
        case 7:
        case 8:
        case 9: {
          const timespec nap = ts(nanoseconds{below(7'000'000)});
          nanosleep(&nap, nullptr);
          break;
        }
        default: p.read(); break;
      }
      p.settle();
      p.poll_agrees();
    }
    close(p.fd);
    std::printf("clock %d: %d operations agree\n", static_cast<int>(kind), operations);
  }
}
