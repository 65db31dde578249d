// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Interval timers of the kernel: taken from whoever had them, and given back.
#include "signals/process.hpp"
#include "support/asio.hpp"
#include "support/in_child.hpp"
#include "support/sanitizer.hpp"
#include "support/skipped.hpp"

#include <chime/itimer.hpp>
#include <chime/kernel/itimer.hpp>
#include <chime/kernel/posix_timer.hpp>
#include <chime/shim/clock.hpp>
#include <chime/shim/itimer.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

namespace {

namespace asio = boost::asio;
namespace shim = chime::shim;
using namespace std::chrono_literals;
using chime::itimer_kind;
using chime::nanoseconds;
using signals::leaves_no_trace;

template <itimer_kind Kind>
using timer = chime::basic_timer<chime::kernel::itimer<Kind>>;

volatile ::sig_atomic_t earlier_calls = 0;
void earlier_handler(int) { earlier_calls = earlier_calls + 1; }

nanoseconds used_by_process(bool system_too) {
  ::rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const ::timeval& t) {
    return nanoseconds{std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec}};
  };
  return of(used.ru_utime) + (system_too ? of(used.ru_stime) : 0ns);
}

/// What the kernel's interval timers go by: CPUCLOCK_PROF and CPUCLOCK_VIRT of this process
/// (linux/posix-timers.h). The ticks that found it running, so on a busy machine it is not what
/// getrusage(2) says, which is scaled to the exact time.
nanoseconds ticks_of_process(bool system_too) {
  const auto t = shim::clock_gettime(static_cast<shim::clock_id>(~clockid_t{0} * 8 + !system_too));
  return nanoseconds{t->tv_sec * 1'000'000'000 + t->tv_nsec};
}

void burn_user(nanoseconds d) {
  const auto start = chime::thread_cpu_clock::now();
  while (chime::thread_cpu_clock::now() - start < d) {
    volatile unsigned sink = 0;
    for (unsigned i = 0; i < 1'000'000; ++i) sink = sink + i;
  }
}
void burn_system(nanoseconds d) {
  const auto start = chime::thread_cpu_clock::now();
  while (chime::thread_cpu_clock::now() - start < d)
    for (int i = 0; i < 1000; ++i) ::getppid();
}

/// Returns when the hidden thread has heard of every signal that has come: by the second time that
/// another kind is heard it has.
void let_all_be_heard(asio::io_context& context) {
  timer<itimer_kind::real> other{context};
  other.expires_every(1ms);
  for (int i = 0; i < 2; ++i) {
    support::outcome<chime::monotonic_clock> seen;
    other.async_wait(seen.handler());
    support::run_until(context, [&] { return seen.calls == 1; });
  }
}

}  // namespace

TEST_CASE_FIXTURE(leaves_no_trace, "I1: a second of a kind is EBUSY until the first is closed") {
  asio::io_context context;
  const auto one_only = [&]<itimer_kind Kind>() {
    timer<Kind> first{context};
    chime::error_code ec;
    timer<Kind> second{context, ec};
    CHECK(ec == boost::system::errc::device_or_resource_busy);
    first.close();
    timer<Kind> third{context, ec};
    CHECK_FALSE(ec);
  };
  one_only.template operator()<itimer_kind::real>();
  one_only.template operator()<itimer_kind::virt>();
  one_only.template operator()<itimer_kind::prof>();
}

TEST_CASE_FIXTURE(leaves_no_trace, "the earlier handler and setting are given back") {
  struct ::sigaction mine{}, before{};
  mine.sa_handler = &earlier_handler;
  ::sigaction(SIGALRM, &mine, &before);
  (void)shim::setitimer(shim::itimer_id::real, {{7, 0}, {3600, 0}}).value();
  {
    asio::io_context context;
    timer<itimer_kind::real> t{context};
    CHECK_EQ(shim::getitimer(shim::itimer_id::real)->it_value.tv_sec, 0);
    t.expires_every(100us);
    support::outcome<chime::monotonic_clock> seen;
    t.async_wait(seen.handler());
    support::run_until(context, [&] { return seen.calls == 1; });
    std::this_thread::sleep_for(2ms);
  }  // closed while its signal may well be pending: that must not reach the earlier handler
  CHECK_EQ(earlier_calls, 0);
  const auto back = shim::getitimer(shim::itimer_id::real).value();
  CHECK_EQ(back.it_interval.tv_sec, 7);
  CHECK_GT(back.it_value.tv_sec, 3500);
  ::raise(SIGALRM);
  CHECK_EQ(earlier_calls, 1);
  (void)shim::setitimer(shim::itimer_id::real);
  ::sigaction(SIGALRM, &before, nullptr);
}

TEST_CASE_FIXTURE(leaves_no_trace, "a REAL timer is heard though every thread blocks SIGALRM") {
  ::sigset_t alarm, before;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &alarm, &before);
  {
    asio::io_context context;
    timer<itimer_kind::real> t{context};
    const auto start = chime::monotonic_clock::now();
    t.expires_every(1ms);
    std::uint64_t total = 0;
    for (int i = 0; i < 20; ++i) {
      support::outcome<chime::monotonic_clock> seen;
      t.async_wait(seen.handler());
      support::run_until(context, [&] { return seen.calls == 1; });
      total += seen.expiry.expirations;
      CHECK_GE(chime::monotonic_clock::now(), seen.expiry.scheduled);
      CHECK_GE(seen.expiry.scheduled - start, 1ms * total);
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE_FIXTURE(leaves_no_trace, "a REAL timer of a microsecond leaves time for all the rest") {
  if (support::thread_sanitizer) {
    support::skipped("a storm of signals: ThreadSanitizer takes them long before our handler does");
    return;
  }
  asio::io_context context;
  timer<itimer_kind::real> t{context};
  for (int i = 0; i < 50; ++i) {
    const auto before = chime::monotonic_clock::now();
    t.expires_every(1us);
    std::uint64_t total = 0;
    for (int j = 0; j < 10; ++j) {
      support::outcome<chime::monotonic_clock> seen;
      t.async_wait(seen.handler());
      support::run_until(context, [&] { return seen.calls == 1; });
      total += seen.expiry.expirations;
      CHECK_EQ(t.get().interval, 1us);
    }
    CHECK_LE(total, static_cast<std::uint64_t>((chime::monotonic_clock::now() - before) / 1us));
    t.disarm();
    (void)t.try_take();
  }
}

TEST_CASE_FIXTURE(leaves_no_trace, "a signal that somebody sends is no expiration") {
  asio::io_context context;
  timer<itimer_kind::virt> t{context};  // of REAL the clock would tell all the same
  t.expires_after(1h);
  ::kill(::getpid(), SIGVTALRM);
  let_all_be_heard(context);
  CHECK_FALSE(t.try_take());
}

TEST_CASE_FIXTURE(leaves_no_trace, "VIRTUAL follows user time only, PROF user and system") {
  asio::io_context context;
  timer<itimer_kind::virt> virt{context};
  timer<itimer_kind::prof> prof{context};
  constexpr auto tick = 4ms;
  // More than two threads use in a tick: a timer that fell behind catches up by one interval a tick.
  constexpr auto interval = 20ms;
  const auto count = [](auto& t) {
    const auto e = t.try_take();
    return static_cast<std::int64_t>(e ? e->expirations : 0);
  };
  const auto measure = [&](auto burn) {
    const auto user = used_by_process(false), user_ticks = ticks_of_process(false);
    const auto both = used_by_process(true), both_ticks = ticks_of_process(true);
    virt.expires_every(interval);
    prof.expires_every(interval);
    std::thread other{burn};  // two threads
    burn();
    other.join();
    std::this_thread::sleep_for(10ms);  // idle: it counts for neither
    let_all_be_heard(context);
    const auto v = count(virt), p = count(prof);
    virt.disarm();
    prof.disarm();
    let_all_be_heard(context);
    (void)count(virt), (void)count(prof);  // what was pending stayed so (I6)
    MESSAGE("user " << (used_by_process(false) - user) / 1ms << " ms, user and system "
                    << (used_by_process(true) - both) / 1ms << " ms; VIRTUAL " << v << ", PROF "
                    << p << " times " << interval / 1ms << " ms");
    // Never early, and up to a tick late for each.
    const auto agrees = [&](std::int64_t n, nanoseconds used) {
      CHECK_LE(n * interval, used);
      CHECK_GE((n + 1) * (interval + tick), used);
    };
    agrees(v, ticks_of_process(false) - user_ticks);
    agrees(p, ticks_of_process(true) - both_ticks);
  };
  measure([] { burn_user(150ms); });
  measure([] { burn_system(150ms); });
}

TEST_CASE_FIXTURE(leaves_no_trace,
                  "I6: of what the setting before told little is left to the next") {
  asio::io_context context;
  timer<itimer_kind::prof> t{context};
  for (int i = 0; i < 5; ++i) {
    t.expires_every(1ms);
    {
      const std::lock_guard nobody_hears{chime::kernel::signal_bridge::get()};
      burn_user(40ms);
    }
    t.expires_after(1000s);
    let_all_be_heard(context);
    const auto e = t.try_take();
    // One that was not taken; another where its signal was pending while the timer was set.
    CHECK_LE(e ? e->expirations : 0, 2);
  }
}

TEST_CASE_FIXTURE(leaves_no_trace, "I7: a forked child's are off, and may be set") {
  if (support::thread_sanitizer) {
    support::skipped("fork: ThreadSanitizer starts no thread in a forked child");
    return;
  }
  asio::io_context context;
  timer<itimer_kind::real> t{context};
  t.expires_every(1ms);
  context.notify_fork(asio::io_context::fork_prepare);
  const int child = support::in_child([&] {
    context.notify_fork(asio::io_context::fork_child);
    if (t.get().is_armed() || t.try_take()) return 1;
    t.expires_after(1ms);
    support::outcome<chime::monotonic_clock> seen;
    t.async_wait(seen.handler());
    context.restart();
    context.run_for(support::slack);
    return seen.calls == 1 && !seen.error ? 0 : 2;
  });
  CHECK_EQ(child, 0);
  context.notify_fork(asio::io_context::fork_parent);
  support::outcome<chime::monotonic_clock> seen;
  t.async_wait(seen.handler());
  support::run_until(context, [&] { return seen.calls == 1; });
}

TEST_CASE_FIXTURE(leaves_no_trace, "all three kinds at once, and absolute settings are EINVAL") {
  asio::io_context context;
  chime::itimer<itimer_kind::real> real{context};
  chime::itimer<itimer_kind::virt> virt{context};
  chime::itimer<itimer_kind::prof> prof{context};
  chime::error_code ec;
  real.expires_at(real.now() + 1s, ec);
  CHECK_EQ(ec.value(), EINVAL);
  real.expires_every(5ms);
  virt.expires_every(5ms);
  prof.expires_every(5ms);
  int seen = 0;
  const auto once = [&](chime::error_code failed, auto) { seen += !failed; };
  real.async_wait(once);
  virt.async_wait(once);
  prof.async_wait(once);
  const auto start = chime::monotonic_clock::now();
  while (seen < 3 && chime::monotonic_clock::now() - start < support::slack) {
    burn_user(1ms);
    context.poll();
  }
  CHECK_EQ(seen, 3);
}

TEST_CASE_FIXTURE(leaves_no_trace, "I6: a wait hears of what was due when the timer is disarmed") {
  asio::io_context context;
  timer<itimer_kind::real> t{context};
  for (int i = 0; i < 50; ++i) {
    support::outcome<chime::monotonic_clock> seen;
    t.expires_after(1ms);
    t.async_wait(seen.handler());
    support::until_due(t);  // by the clock: its signal may not have been heard
    t.disarm();
    support::run_until(context, [&] { return seen.calls == 1; });
    CHECK_EQ(seen.expiry.expirations, 1);
  }
}

TEST_CASE_FIXTURE(leaves_no_trace,
                  "I5: a signal that was pending for the owner before is no expiration") {
  ::sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGVTALRM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  (void)shim::setitimer(shim::itimer_id::virt, {{0, 0}, {0, 1}}).value();
  const auto is_pending = [] {
    ::sigset_t pending;
    ::sigpending(&pending);
    return ::sigismember(&pending, SIGVTALRM) == 1;
  };
  const auto start = chime::thread_cpu_clock::now();
  while (!is_pending() && chime::thread_cpu_clock::now() - start < support::slack) burn_user(1ms);
  CHECK(is_pending());
  {
    asio::io_context context;
    timer<itimer_kind::virt> t{context};
    t.expires_after(1000s);
    let_all_be_heard(context);
    CHECK_FALSE(t.try_take());
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE_FIXTURE(leaves_no_trace, "I7: a forked child is lent nothing, and hears of its own") {
  if (support::thread_sanitizer) {
    support::skipped("fork: ThreadSanitizer starts no thread in a forked child");
    return;
  }
  ::sigset_t alarm, before;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &alarm, &before);  // by everybody but the hidden thread
  shim::alarm(1000);
  {
    asio::io_context context;
    timer<itimer_kind::real> t{context};
    context.notify_fork(asio::io_context::fork_prepare);
    const int child = support::in_child([&] {
      context.notify_fork(asio::io_context::fork_child);
      t.expires_after(1ms);
      support::outcome<chime::monotonic_clock> seen;
      t.async_wait(seen.handler());
      context.run_for(support::slack);
      if (seen.calls != 1) return 1;
      t.close();
      return shim::alarm(0) == 0 ? 0 : 2;
    });
    CHECK_EQ(child, 0);
    context.notify_fork(asio::io_context::fork_parent);
  }
  CHECK_GT(shim::alarm(0), 900);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE_FIXTURE(leaves_no_trace, "once it is given back, no thread of ours takes its signal") {
  ::sigset_t alarm, before;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &alarm, &before);
  {
    asio::io_context context;
    chime::basic_timer<chime::kernel::posix_timer<chime::monotonic_clock>> keeps_the_thread{
        context};
    for (int i = 0; i < 50; ++i) {
      timer<itimer_kind::real>{context}.expires_every(50us);
      (void)shim::setitimer(shim::itimer_id::real, {{0, 0}, {0, 1}}).value();
      const ::timespec patience{5, 0};
      CHECK_EQ(::sigtimedwait(&alarm, nullptr, &patience), SIGALRM);  // or the program ends here
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
