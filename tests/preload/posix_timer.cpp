// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <thread>

#include "support.hpp"
#include "support/cpu_seconds.hpp"
#include "support/one_cpu.hpp"
#include "support/skipped.hpp"

using namespace preload_test;

namespace {

std::atomic<int> handled = 0;
siginfo_t last{};
void on_signal(int, siginfo_t* info, void*) {
  last = *info;
  ++handled;
}

class handler {
 public:
  handler(int signo, int flags) : signo_{signo} {
    struct sigaction a{};
    a.sa_sigaction = on_signal;
    a.sa_flags = flags | SA_SIGINFO;
    sigaction(signo, &a, &old_);
    handled = 0;
  }
  handler(const handler&) = delete;
  handler& operator=(const handler&) = delete;
  ~handler() { sigaction(signo_, &old_, nullptr); }

 private:
  int signo_;
  struct sigaction old_{};
};

long create(int clock, sigevent* e) {
  int id = -1;
  const long result = err(syscall(SYS_timer_create, clock, e, &id));
  if (result == 0) syscall(SYS_timer_delete, id);
  return result;
}

}  // namespace

TEST_CASE("P1, P12: create judges its arguments") {
  sigevent e{};
  e.sigev_notify = SIGEV_SIGNAL;
  CHECK_EQ(create(CLOCK_MONOTONIC, &e), -EINVAL);  // signal 0
  e.sigev_signo = 65;
  CHECK_EQ(create(CLOCK_MONOTONIC, &e), -EINVAL);
  e.sigev_signo = SIGUSR1;
  CHECK_EQ(create(CLOCK_MONOTONIC, &e), 0);
  CHECK_EQ(create(12345, &e), -EINVAL);
  CHECK_EQ(create(CLOCK_MONOTONIC_RAW, &e), -EOPNOTSUPP);
  CHECK_EQ(create(CLOCK_REALTIME_COARSE, &e), -EOPNOTSUPP);
  CHECK_EQ(create(CLOCK_TAI, &e), 0);
  e.sigev_notify = 3;
  CHECK_EQ(create(CLOCK_MONOTONIC, &e), -EINVAL);
  e.sigev_notify = SIGEV_THREAD_ID;
  e._sigev_un._tid = 1;
  CHECK_EQ(create(CLOCK_MONOTONIC, &e), -EINVAL);
  e.sigev_notify = SIGEV_THREAD;
  CHECK_EQ(create(CLOCK_MONOTONIC, &e), 0);  // P2
  e.sigev_notify = SIGEV_NONE;
  e.sigev_signo = 1000;
  CHECK_EQ(create(CLOCK_MONOTONIC, &e), 0);
  CHECK_EQ(err(syscall(SYS_timer_create, CLOCK_MONOTONIC, 8, nullptr)), -EFAULT);
  clockid_t own{};
  pthread_getcpuclockid(pthread_self(), &own);
  CHECK_EQ(create(own, &e), 0);
}

TEST_CASE("P1: no sigevent means SIGALRM with the id, by the bare call") {
  const blocked alarm{SIGALRM};
  int id = -1;
  REQUIRE_EQ(syscall(SYS_timer_create, CLOCK_MONOTONIC, nullptr, &id), 0);
  const itimerspec s = spec(1ms);
  CHECK_EQ(syscall(SYS_timer_settime, id, 0, &s, nullptr), 0);
  siginfo_t info{};
  REQUIRE(alarm.take(info));
  CHECK_EQ(info.si_code, SI_TIMER);
  CHECK_EQ(info.si_value.sival_int, id);
  CHECK_EQ(info.si_timerid, id);
  CHECK_EQ(syscall(SYS_timer_delete, id), 0);
  CHECK_EQ(err(syscall(SYS_timer_delete, id)), -EINVAL);
}

TEST_CASE("P2, F15: the other calls judge theirs") {
  const posix_timer t{SIGUSR1, CLOCK_MONOTONIC, SIGEV_NONE};
  const itimerspec wrong{{0, 0}, {0, -1}};
  const itimerspec good = spec(10s);
  CHECK_EQ(err(syscall(SYS_timer_settime, 123456, 0, nullptr, nullptr)), -EINVAL);
  CHECK_EQ(err(syscall(SYS_timer_settime, 123456, 0, 8, nullptr)), -EFAULT);
  CHECK_EQ(err(timer_settime(t.id, 0, &wrong, nullptr)), -EINVAL);
  CHECK_EQ(err(timer_settime(t.id, 0x70, &good, nullptr)), 0);  // other bits mean nothing
  CHECK_EQ(err(syscall(SYS_timer_gettime, 123456, nullptr)), -EINVAL);
  CHECK_EQ(err(syscall(SYS_timer_getoverrun, 123456)), -EINVAL);
}

TEST_CASE("P3, P7, P8: what gettime says") {
  const blocked usr1{SIGUSR1};
  for (const int notify : {SIGEV_SIGNAL, SIGEV_NONE}) {
    const posix_timer t{SIGUSR1, CLOCK_MONOTONIC, notify};
    itimerspec old{};
    CHECK_EQ(t.set(10s, 3s), 0);
    CHECK_EQ(t.set(now() + 20s, 0ns, TIMER_ABSTIME, &old), 0);
    CHECK_GT(of(old.it_value), 1s);
    CHECK_EQ(of(old.it_interval), 3s);
    CHECK_LE(of(t.get().it_value), 20s);
    CHECK_EQ(t.set(1ms, 50s), 0);
    pass(2ms);
    CHECK_GT(of(t.get().it_value), 40s);
    CHECK_EQ(t.set(0ns, 5ms), 0);
    CHECK_EQ(of(t.get().it_interval), 0ns);
    CHECK_EQ(t.set(1ms), 0);
    pass(2ms);
    CHECK_EQ(of(t.get().it_value), 0ns);
    CHECK_EQ(timer_getoverrun(t.id), 0);
  }
}

TEST_CASE("P5: the overrun is fixed at acceptance, whoever accepts") {
  for (const int signo : {SIGUSR1, SIGRTMIN + 3}) {
    const blocked signal{signo};
    const posix_timer t{signo};
    const int fd = signalfd(-1, &signal.set(), SFD_NONBLOCK);
    for (const bool by_signalfd : {false, true}) {
      const auto first = now() + 1ms;
      REQUIRE_EQ(t.set(first, 1ms, TIMER_ABSTIME), 0);
      REQUIRE(eventually([&] { return signal.pending(); }));
      CHECK_EQ(timer_getoverrun(t.id), 0);
      pass(15ms);
      const long least = (now() - first) / 1ms;
      long overrun = -1;
      if (by_signalfd) {
        signalfd_siginfo info{};
        REQUIRE_EQ(read(fd, &info, sizeof info), static_cast<ssize_t>(sizeof info));
        CHECK_EQ(info.ssi_code, SI_TIMER);
        CHECK_EQ(info.ssi_int, 4711);
        overrun = static_cast<long>(info.ssi_overrun);
      } else {
        siginfo_t info{};
        REQUIRE(signal.take(info));
        CHECK_EQ(info.si_code, SI_TIMER);
        CHECK_EQ(info.si_value.sival_int, 4711);
        overrun = info.si_overrun;
      }
      const long most = (now() - first) / 1ms;
      CHECK_GE(overrun, least);
      CHECK_LE(overrun, most);
      CHECK_EQ(timer_getoverrun(t.id), overrun);
      CHECK_EQ(t.set(0ns), 0);
      CHECK_EQ(timer_getoverrun(t.id), 0);  // P4
    }
    close(fd);
  }
}

TEST_CASE(
    "P4, P9: a pending notification is dropped by settime and by delete; others stay in order") {
  const int signo = SIGRTMIN + 4;
  const blocked signal{signo};
  posix_timer t{signo};
  sigqueue(getpid(), signo, {.sival_int = 1});
  REQUIRE_EQ(t.set(1ms), 0);
  const posix_timer marker{SIGUSR2, CLOCK_MONOTONIC, SIGEV_NONE};
  pass(5ms);
  sigqueue(getpid(), signo, {.sival_int = 2});
  kill(getpid(), signo);
  SUBCASE("settime") { REQUIRE_EQ(t.set(0ns), 0); }
  SUBCASE("delete") {
    t.owned = false;
    REQUIRE_EQ(timer_delete(t.id), 0);
  }
  siginfo_t info{};
  REQUIRE(signal.take(info, 0ns));
  CHECK_EQ(info.si_value.sival_int, 1);
  CHECK_EQ(info.si_code, SI_QUEUE);
  REQUIRE(signal.take(info, 0ns));
  CHECK_EQ(info.si_value.sival_int, 2);
  REQUIRE(signal.take(info, 0ns));
  CHECK_EQ(info.si_code, SI_USER);
  CHECK_EQ(info.si_pid, getpid());
  CHECK_FALSE(signal.take(info, 0ns));
}

TEST_CASE("two timers with one standard signal are both told of, also beside a kill") {
  const blocked signal{SIGUSR1};
  const posix_timer a{SIGUSR1};
  const posix_timer b{SIGUSR1};
  kill(getpid(), SIGUSR1);
  REQUIRE_EQ(a.set(1ms), 0);
  REQUIRE_EQ(b.set(2ms), 0);
  pass(10ms);
  int from_timers = 0;
  for (siginfo_t info{}; signal.take(info, 100ms);) from_timers += info.si_code == SI_TIMER;
  CHECK_EQ(from_timers, 2);
}

TEST_CASE("timers with one standard signal are told of in the order in which they expired") {
  const blocked signal{SIGUSR1};
  const posix_timer a{SIGUSR1}, b{SIGUSR1}, c{SIGUSR1};
  // All are set before the first expires: one that is set later expires at once, out of its order.
  for (bool is_in_time = false; !is_in_time;) {
    const auto start = now();
    const auto at = [&](const posix_timer& t, nanoseconds deadline) {
      REQUIRE_EQ(t.set(start + deadline, 0ns, TIMER_ABSTIME), 0);
    };
    at(a, 7ms);
    at(b, 5ms);
    at(c, 6ms);
    is_in_time = now() < start + 5ms;
    pass(10ms);
  }
  const auto number = [](const posix_timer& t) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(t.id));
  };
  for (const posix_timer* t : {&b, &c, &a}) {
    siginfo_t info{};
    REQUIRE(signal.take(info));
    CHECK_EQ(info.si_timerid, number(*t));
  }
}

TEST_CASE("a read of a signalfd takes as many as there are") {
  for (const int signo : {SIGUSR1, SIGRTMIN + 3}) {
    const blocked signal{signo};
    const int fd = signalfd(-1, &signal.set(), SFD_NONBLOCK);
    std::array<std::optional<posix_timer>, 20> timers;
    for (auto& t : timers) t.emplace(signo);
    std::array<signalfd_siginfo, 32> infos{};
    REQUIRE(eventually([&] {  // all in one read; anew if the timers were served late
      for (auto& t : timers) REQUIRE_EQ(t->set(1ms), 0);
      pass(5ms);
      return read(fd, infos.data(), sizeof infos) ==
             static_cast<ssize_t>(timers.size() * sizeof infos[0]);
    }));
    for (std::size_t i = 0; i < timers.size(); ++i) {
      CHECK_EQ(infos[i].ssi_code, SI_TIMER);
      CHECK_EQ(infos[i].ssi_int, 4711);
    }
    CHECK_EQ(err(read(fd, infos.data(), sizeof infos)), -EAGAIN);
    const iovec part{infos.data(), sizeof infos};
    REQUIRE_EQ(timers[0]->set(1ms, 1ms), 0);
    pass(5ms);
    for (int i = 0; i < 2; ++i) {
      const auto comes = [&] { return preadv2(fd, &part, 1, -1, RWF_NOWAIT) == sizeof infos[0]; };
      CHECK(eventually(comes));  // and is accepted, so that it comes again
    }
    CHECK_GE(timer_getoverrun(timers[0]->id), 0);
    CHECK_LT(infos[0].ssi_overrun, 10'000);
    close(fd);
  }
}

TEST_CASE("bad pointers are EFAULT where signals are waited for") {
  const blocked signal{SIGUSR1};
  const posix_timer t{SIGUSR1};
  const auto bad = [](auto* right) { return reinterpret_cast<decltype(right)>(8); };
  siginfo_t info{};
  const timespec at_once{};
  CHECK_EQ(err(sigtimedwait(bad(&signal.set()), &info, &at_once)), -EFAULT);
  CHECK_EQ(err(sigtimedwait(&signal.set(), &info, bad(&at_once))), -EFAULT);
  CHECK_EQ(err(sigwaitinfo(bad(&signal.set()), &info)), -EFAULT);
  int signo = 0;
  CHECK_EQ(sigwait(bad(&signal.set()), &signo), EFAULT);
  const timespec wrong{0, -1};
  CHECK_EQ(err(sigtimedwait(&signal.set(), &info, &wrong)), -EINVAL);
}

TEST_CASE("a timer's signal is whole also where the queue of signals is full") {
  for (const int signo : {SIGUSR1, SIGRTMIN + 3})
    CHECK(in_child([signo] {
      const blocked signal{signo};
      const posix_timer t{signo};
      const rlimit none{0, 0};
      setrlimit(RLIMIT_SIGPENDING, &none);
      if (t.set(1ms, 1ms) != 0) return false;
      for (int i = 0; i < 3; ++i) {
        siginfo_t info{};
        if (!signal.take(info) || info.si_code != SI_TIMER || info.si_value.sival_int != 4711)
          return false;
      }
      return true;
    }));
}

TEST_CASE("and comes where a thread sets the timer for the past, and has it unblocked") {
  for (const int signo : {SIGUSR1, SIGRTMIN + 3})
    CHECK(in_child([signo] {
      const handler saved{signo, 0};
      bool ok = true;
      std::thread{[&] {
        const posix_timer t{signo};
        const rlimit none{0, 0};
        setrlimit(RLIMIT_SIGPENDING, &none);
        for (int i = 1; i <= 3 && ok; ++i)
          ok = t.set(1ns, 0ns, TIMER_ABSTIME) == 0 && eventually([i] { return handled == i; }) &&
               last.si_code == SI_TIMER && last.si_value.sival_int == 4711;
      }}.join();
      return ok;
    }));
}

TEST_CASE("an action is read back as the kernel keeps it") {
  const posix_timer t{SIGUSR2};
  struct sigaction a{}, old{}, back{};
  sigaction(SIGUSR2, nullptr, &old);
  a.sa_handler = [](int) {};
  a.sa_flags = SA_RESTART | 0x400;  // a flag that never means anything
  sigfillset(&a.sa_mask);
  REQUIRE_EQ(sigaction(SIGUSR2, &a, nullptr), 0);
  REQUIRE_EQ(sigaction(SIGUSR2, nullptr, &back), 0);
  CHECK((back.sa_handler == a.sa_handler));
  CHECK_EQ(back.sa_flags & 0x400, 0);
  CHECK_EQ(back.sa_flags & (SA_RESTART | SA_SIGINFO), SA_RESTART);
  CHECK_EQ(sigismember(&back.sa_mask, SIGKILL), 0);
  CHECK_EQ(sigismember(&back.sa_mask, SIGSTOP), 0);
  CHECK_EQ(sigismember(&back.sa_mask, SIGUSR1), 1);
  sigaction(SIGUSR2, &old, nullptr);
}

TEST_CASE("prctl: PR_TIMER_CREATE_RESTORE_IDS judges its arguments") {
  if (prctl(77, 2, 0, 0, 0) == -1) {
    std::puts("SKIPPED: this kernel has no PR_TIMER_CREATE_RESTORE_IDS (Linux 6.15)");
    return;
  }
  CHECK_EQ(err(prctl(77, 3, 0, 0, 0)), -EINVAL);
  CHECK_EQ(err(prctl(77, 2, 1, 0, 0)), -EINVAL);
  CHECK_EQ(err(prctl(77, 2, 0, 0, 1)), -EINVAL);
  CHECK_EQ(err(syscall(SYS_prctl, 77, 2, 0, 1, 0)), -EINVAL);
}

TEST_CASE("P10: an exec ends timers, with what they have told") {
  CHECK(in_child([] {
    const blocked signal{SIGUSR1};
    const posix_timer t{SIGUSR1};
    if (t.set(1ms, 1ms) != 0 || !eventually([&] { return signal.pending(); })) return false;
    execlp("nowhere", "nowhere", static_cast<char*>(nullptr));  // that fails: it goes on
    siginfo_t info{};
    if (!signal.take(info) || info.si_code != SI_TIMER) return false;
    if (!eventually([&] { return signal.pending(); })) return false;
    execlp("grep", "grep", "-q", "^ShdPnd:.0*$", "/proc/self/status", static_cast<char*>(nullptr));
    return false;
  }));
}

TEST_CASE("handlers: flags and siginfo are the program's, and so is the action read back") {
  const int signo = SIGUSR2;
  const handler h{signo, SA_RESTART};
  const posix_timer t{signo};
  struct sigaction a{};
  sigaction(signo, nullptr, &a);
  CHECK((a.sa_sigaction == on_signal));
  CHECK_EQ(a.sa_flags & (SA_SIGINFO | SA_RESTART | SA_ONSTACK), SA_SIGINFO | SA_RESTART);
  REQUIRE_EQ(t.set(1ms, 1ms), 0);
  CHECK(eventually([] { return handled >= 5; }));
  REQUIRE_EQ(t.set(0ns), 0);
  CHECK_EQ(last.si_code, SI_TIMER);
  CHECK_EQ(last.si_value.sival_int, 4711);

  static std::atomic<int> plain;
  plain = 0;
  const auto old = signal(signo, [](int) { ++plain; });
  CHECK_EQ(reinterpret_cast<void*>(old), reinterpret_cast<void*>(on_signal));
  REQUIRE_EQ(t.set(1ms), 0);
  CHECK(eventually([] { return plain == 1; }));

  a = {};
  a.sa_handler = [](int) { ++plain; };
  a.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(signo, &a, nullptr);
  REQUIRE_EQ(t.set(1ms), 0);
  CHECK(eventually([] { return plain == 2; }));
  sigaction(signo, nullptr, &a);
  CHECK((a.sa_handler == SIG_DFL));
}

TEST_CASE("handlers: who has been called by the kernel runs, though another ends that meanwhile") {
  for (const auto next : {SIG_IGN, SIG_DFL}) {
    CHECK(in_child([next] {
      static std::atomic<int> called;
      static void (*then)(int);
      called = 0;
      then = next;
      const posix_timer t{SIGUSR1};
      signal(SIGUSR1, [](int) { ++called; });
      signal(SIGUSR2, [](int) { signal(SIGUSR1, then); });
      sigset_t both;
      sigemptyset(&both);
      sigaddset(&both, SIGUSR1);
      sigaddset(&both, SIGUSR2);
      pthread_sigmask(SIG_BLOCK, &both, nullptr);
      kill(getpid(), SIGUSR1);
      kill(getpid(), SIGUSR2);
      pthread_sigmask(SIG_UNBLOCK, &both, nullptr);
      struct sigaction a{};
      sigaction(SIGUSR1, nullptr, &a);
      return called == 1 && a.sa_handler == next;
    }));
  }
}

TEST_CASE("handlers: one that was for one signal only is gone for the second of two") {
  const int signo = SIGRTMIN + 3;
  const pid_t child = fork();
  if (child == 0) {
    const blocked signal{signo};
    const posix_timer t{signo};
    const handler once{signo, static_cast<int>(SA_RESETHAND) | SA_NODEFER};
    for (int i = 0; i != 2; ++i) sigqueue(getpid(), signo, {});
    pthread_sigmask(SIG_UNBLOCK, &signal.set(), nullptr);
    _exit(handled);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), signo);
}

TEST_CASE("P11: ignored, and no longer ignored") {
  const blocked usr1{SIGUSR1};  // only so that the end is clean
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  struct sigaction old{};
  struct sigaction a{};
  a.sa_handler = SIG_IGN;
  sigaction(SIGUSR1, &a, &old);
  const posix_timer t{SIGUSR1};
  const auto first = now() + 1ms;
  REQUIRE_EQ(t.set(first, 1ms, TIMER_ABSTIME), 0);
  pass(20ms);
  CHECK_LE(of(t.get().it_value), 1ms);
  {
    handled = 0;
    const handler h{SIGUSR1, 0};
    REQUIRE(eventually([] { return handled >= 1; }));
    REQUIRE_EQ(t.set(0ns), 0);
  }
  sigaction(SIGUSR1, &old, nullptr);
}

namespace {

/// SIGUSR1 as a program begins, but ignored.
class ignoring {
 public:
  ignoring() {
    sigemptyset(&none_);
    pthread_sigmask(SIG_SETMASK, &none_, nullptr);
    struct sigaction a{};
    a.sa_handler = SIG_IGN;
    sigaction(SIGUSR1, &a, &old_);
  }
  ignoring(const ignoring&) = delete;
  ignoring& operator=(const ignoring&) = delete;
  ~ignoring() { sigaction(SIGUSR1, &old_, nullptr); }

 private:
  const blocked usr1_{SIGUSR1};  // only so that the end is clean
  sigset_t none_{};
  struct sigaction old_{};
};

}  // namespace

TEST_CASE("P11: a timer that expires at once, set by the main thread while it ignores the signal") {
  const ignoring usr1;
  const posix_timer one_shot{SIGUSR1};
  const posix_timer periodic{SIGUSR1};
  REQUIRE_EQ(one_shot.set(1ns), 0);
  REQUIRE_EQ(periodic.set(1ns, 10ms), 0);
  pass(50ms);
  const handler h{SIGUSR1, 0};  // told at once
  CHECK_GE(timer_getoverrun(periodic.id), 4);
  REQUIRE(eventually([] { return handled >= 2; }));
}

TEST_CASE("P11: blocked and ignored when it expires, then unblocked, a timer goes on") {
  for (const int notify : {SIGEV_SIGNAL, SIGEV_THREAD_ID}) {
    CAPTURE(notify);
    const ignoring usr1;
    const posix_timer t{SIGUSR1, CLOCK_MONOTONIC, notify};
    {
      const blocked too{SIGUSR1};
      REQUIRE_EQ(t.set(1ms, 20ms), 0);
      REQUIRE(eventually([&] { return too.pending(); }));
      sigset_t set = too.set();
      pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    }
    const handler h{SIGUSR1, 0};
    REQUIRE(eventually([] { return handled >= 2; }));
  }
}

TEST_CASE("P11: and where it is blocked again before it expires again") {
  const ignoring usr1;
  const posix_timer t{SIGUSR1};
  const blocked first{SIGUSR1};
  REQUIRE_EQ(t.set(1ms, 20ms), 0);
  REQUIRE(eventually([&] { return first.pending(); }));
  sigset_t set = first.set();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  CHECK(eventually([&] { return first.pending(); }));
}

TEST_CASE(
    "P11: a timer that is set into the past while its signal is ignored is told of once it is "
    "not") {
  for (int i = 0; i < 20; ++i) {
    const ignoring usr1;
    const posix_timer t{SIGUSR1};
    REQUIRE_EQ(t.set(now() - 1s, 10s, TIMER_ABSTIME), 0);
    pass(200us);
    handled = 0;
    struct sigaction a{};
    a.sa_sigaction = on_signal;
    a.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &a, nullptr);
    REQUIRE_EQ(handled, 1);
  }
}

TEST_CASE(
    "P11: a signal that is ignored by default, and then handled: nothing, until the timer is set "
    "anew") {
  const blocked chld{SIGCHLD};
  sigset_t set = chld.set();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  const posix_timer t{SIGCHLD};
  REQUIRE_EQ(t.set(1ms, 5ms), 0);
  pass(10ms);
  const handler h{SIGCHLD, 0};
  pass(30ms);
  CHECK_EQ(handled, 0);
  REQUIRE_EQ(t.set(1ms, 5ms), 0);
  CHECK(eventually([] { return handled >= 2; }));
}

TEST_CASE("I4: SIGALRM of a timer that tells one thread is none of the interval timer's") {
  const blocked alarm{SIGALRM};
  const posix_timer t{SIGALRM, CLOCK_MONOTONIC, SIGEV_THREAD_ID};
  REQUIRE_EQ(t.set(1ms), 0);
  const itimerval soon{{0, 100'000}, {0, 1'000}};
  REQUIRE_EQ(setitimer(ITIMER_REAL, &soon, nullptr), 0);
  pass(5ms);
  siginfo_t info{};
  REQUIRE(alarm.take(info));
  CHECK_EQ(info.si_code, SI_TIMER);
  itimerval left{};
  getitimer(ITIMER_REAL, &left);
  CHECK_EQ(left.it_value.tv_usec, 0);
  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
}

TEST_CASE("SIGEV_THREAD_ID tells that thread") {
  const int signo = SIGRTMIN + 5;
  const blocked signal{signo};
  const posix_timer t{signo, CLOCK_MONOTONIC, SIGEV_THREAD_ID};
  REQUIRE_EQ(t.set(1ms), 0);
  siginfo_t info{};
  REQUIRE(signal.take(info));
  CHECK_EQ(info.si_code, SI_TIMER);
}

TEST_CASE("P4: what else waits for a thread goes on waiting for it, where a timer is set anew") {
  const int signo = SIGRTMIN + 4;
  const blocked signal{signo};
  const posix_timer first{signo, CLOCK_MONOTONIC, SIGEV_THREAD_ID};
  const posix_timer second{signo, CLOCK_MONOTONIC, SIGEV_THREAD_ID};
  const auto for_another = [&] {
    bool takes = false;
    std::thread{[&] {
      siginfo_t info{};
      takes = signal.take(info, 1ms);
    }}.join();
    return takes;
  };
  for (int i = 0; i < 3; ++i) {  // what is put back once may be put back again
    REQUIRE_EQ(pthread_kill(pthread_self(), signo), 0);
    REQUIRE_EQ(first.set(1ns), 0);
    REQUIRE_EQ(second.set(1ns), 0);
    pass(1ms);
    REQUIRE_EQ(first.set(1ns), 0);
    REQUIRE_EQ(first.set(100s), 0);
    CHECK_FALSE(for_another());
    siginfo_t info{};
    CHECK(signal.take(info, 0ns));
    CHECK(signal.take(info, 0ns));
    CHECK_FALSE(signal.take(info, 0ns));
  }
}

TEST_CASE(
    "P4: a timer that another thread has set anew is handled in the only moment when it may be") {
  const int signo = SIGRTMIN + 4;
  const blocked signal{signo};
  const handler h{signo, 0};
  const posix_timer t{signo, CLOCK_MONOTONIC, SIGEV_THREAD_ID};
  REQUIRE_EQ(t.set(1ns), 0);
  pass(1ms);
  std::thread{[&] { REQUIRE_EQ(t.set(1ns), 0); }}.join();
  pass(1ms);
  sigset_t open;
  pthread_sigmask(SIG_SETMASK, nullptr, &open);
  sigdelset(&open, signo);
  const timespec moment = to_timespec(slack);
  CHECK_EQ(err(ppoll(nullptr, 0, &moment, &open)), -EINTR);
  CHECK_EQ(handled, 1);
  siginfo_t info{};
  CHECK_FALSE(signal.take(info, 0ns));
}

TEST_CASE("P13: a thread that runs is told before one that sleeps") {
  static std::atomic<int> running, sleeping;
  static std::atomic<pid_t> worker;
  static std::atomic<bool> ends;
  running = sleeping = 0;
  worker = 0;
  ends = false;
  const handler saved{SIGUSR1, 0};
  struct sigaction a{};
  a.sa_handler = [](int) { ++(gettid() == worker ? running : sleeping); };
  sigaction(SIGUSR1, &a, nullptr);
  const support::on_one_cpu here;
  std::thread working{[] {
    worker = gettid();
    while (!ends) {
    }
  }};
  const posix_timer t{SIGUSR1};
  REQUIRE_EQ(t.set(5ms, 5ms), 0);
  // (Mostly. Where another program has the processor when the timer expires, the main thread is told.)
  CHECK(eventually([] { return running >= 3; }));
  t.set(0ns);
  ends = true;
  working.join();
}

TEST_CASE("P13: set for the past, a timer tells the thread that sets it, before the call returns") {
  static std::atomic<int> told, others;
  static std::atomic<pid_t> setter;
  const int signo = SIGRTMIN + 3;
  const handler saved{signo, 0};
  struct sigaction a{};
  a.sa_handler = [](int) { ++(gettid() == setter ? told : others); };
  sigaction(signo, &a, nullptr);
  constexpr int rounds = 100;
  for (const int clock : {CLOCK_PROCESS_CPUTIME_ID, CLOCK_MONOTONIC}) {
    told = others = 0;
    int at_return = 0;
    std::thread{[&] {
      setter = gettid();
      const posix_timer t{signo, clock};
      for (int i = 0; i < rounds; ++i) {
        REQUIRE_EQ(t.set(1ns, 0ns, TIMER_ABSTIME), 0);
        at_return += told == i + 1;
        REQUIRE(eventually([&] { return told + others == i + 1; }));
      }
    }}.join();
    CAPTURE(clock);
    // (The other clock is an interrupt of its own on the kernel, before which another program may have the processor.)
    const int all = clock == CLOCK_PROCESS_CPUTIME_ID ? rounds : rounds * 9 / 10;
    CHECK_GE(told, all);
    CHECK_GE(at_return, all);
  }
}

TEST_CASE("SIGEV_THREAD starts a thread for each") {
  static std::atomic<int> runs;
  static std::atomic<int> value;
  static std::atomic<bool> elsewhere;
  static pthread_t creator;
  static std::atomic<bool> looks_alike;
  static char name[16];
  static int timer_slack;
  runs = 0;
  creator = pthread_self();
  prctl(PR_GET_NAME, name);
  timer_slack = prctl(PR_GET_TIMERSLACK);
  sigevent e{};
  e.sigev_notify = SIGEV_THREAD;
  e.sigev_value.sival_int = 99;
  e.sigev_notify_function = [](sigval v) {
    value = v.sival_int;
    elsewhere = pthread_equal(pthread_self(), creator) == 0;
    char own_name[16];
    prctl(PR_GET_NAME, own_name);
    looks_alike = std::strcmp(name, own_name) == 0 && prctl(PR_GET_TIMERSLACK) == timer_slack;
    ++runs;
  };
  timer_t id{};
  REQUIRE_EQ(timer_create(CLOCK_REALTIME, &e, &id), 0);
  const itimerspec s = spec(1ms, 2ms);
  REQUIRE_EQ(timer_settime(id, 0, &s, nullptr), 0);
  CHECK(eventually([] { return runs >= 3; }));
  CHECK_EQ(value, 99);
  CHECK(elsewhere);
  CHECK(looks_alike);
  CHECK_EQ(timer_delete(id), 0);
}

TEST_CASE("a timer that starts threads is not null") {
  sigevent e{};
  e.sigev_notify = SIGEV_THREAD;
  e.sigev_notify_function = [](sigval) {};
  timer_t t{};
  REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, &e, &t), 0);
  CHECK_NE(t, nullptr);
  CHECK_EQ(timer_delete(t), 0);
}

TEST_CASE("system(3) ignores signals, and a timer that tells by one goes on after it") {
  const handler h{SIGINT, 0};
  const posix_timer t{SIGINT};
  REQUIRE_EQ(t.set(1ms, 1ms), 0);
  // Some of what comes meanwhile meets a thread that has all signals blocked: libc, as it starts the child.
  for (int i = 0; i != 20; ++i) {
    REQUIRE(eventually([] { return handled > 1; }));
    REQUIRE_EQ(system("sleep 0.002"), 0);
    handled = 0;
  }
}

TEST_CASE("real-time signals that come in the middle of each other nest no deeper than there are") {
  constexpr int count = 50;
  constexpr std::uintptr_t frame = 32'768;  // at most, of a handler with all registers
  static std::array<std::atomic<int>, count> calls;
  static std::atomic<std::uintptr_t> lowest;
  for (auto& n : calls) n = 0;
  lowest = UINTPTR_MAX;
  struct sigaction a{};
  a.sa_sigaction = [](int, siginfo_t* info, void*) {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    if (here < lowest) lowest = here;
    ++calls[static_cast<std::size_t>(info->si_value.sival_int)];
  };
  a.sa_flags = SA_SIGINFO | SA_NODEFER;
  const int signo = SIGRTMIN + 4;
  struct sigaction old{};
  sigaction(signo, &a, &old);
  std::array<timer_t, count> timers{};
  {
    const blocked meanwhile{signo};
    for (int i = 0; i != count; ++i) {
      sigevent e{};
      e.sigev_signo = signo;
      e.sigev_value.sival_int = i;
      timer_t& t = timers[static_cast<std::size_t>(i)];
      REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, &e, &t), 0);
      const itimerspec s = spec(1ns);
      timer_settime(t, 0, &s, nullptr);
    }
    REQUIRE(eventually([&] { return meanwhile.pending(); }));
    // (The end of this block would take what is pending.)
    pthread_sigmask(SIG_UNBLOCK, &meanwhile.set(), nullptr);
  }
  CHECK(eventually(
      [] { return std::all_of(calls.begin(), calls.end(), [](int n) { return n > 0; }); }));
  for (const auto& n : calls) CHECK_EQ(n, 1);
  CHECK_LT(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - lowest, count * frame);
  for (const timer_t t : timers) timer_delete(t);
  sigaction(signo, &old, nullptr);
}

TEST_CASE(
    "RLIMIT_SIGPENDING: what is told in a full queue comes once, and not after it was disarmed") {
  const auto outcome = [](bool disarms) {
    return in_child([=] {
      const int signo = SIGRTMIN + 1;
      const blocked signal{signo};
      std::deque<posix_timer> timers;
      for (int i = 0; i != 3; ++i) timers.emplace_back(signo);
      const rlimit none{0, 0};
      setrlimit(RLIMIT_SIGPENDING, &none);
      for (const posix_timer& t : timers) {
        t.set(1ns);
        pass(1ms);
      }
      siginfo_t info{};
      if (disarms) {
        for (const posix_timer& t : timers) t.set(0ns);
      } else {
        for (int i = 0; i != 3; ++i) {
          if (!signal.take(info) || info.si_code != SI_TIMER) return false;
          pass(5ms);  // what has no place is tried again every 2 ms
        }
      }
      return !signal.take(info, 20ms);
    });
  };
  CHECK(outcome(false));
  CHECK(outcome(true));
}

TEST_CASE("where thousands are pending, to accept one takes no longer for their number") {
  constexpr int many = 8'000;
  rlimit room{};
  getrlimit(RLIMIT_SIGPENDING, &room);
  if (room.rlim_cur < 2 * many) {
    return support::skipped("a larger RLIMIT_SIGPENDING");
  }
  const auto cost_of_one = [](int count) {
    const int signo = SIGRTMIN + 3;
    const blocked signal{signo};
    std::deque<posix_timer> timers;
    for (int i = 0; i != count; ++i) REQUIRE_EQ(timers.emplace_back(signo).set(1ns), 0);
    return support::cpu_seconds([&] {
             siginfo_t info{};
             for (int i = 0; i != count; ++i) REQUIRE(signal.take(info));
           }) /
           count;
  };
  // Ten times as long and more where each looked through all.
  CHECK_LT(cost_of_one(many), 4 * cost_of_one(500));
}

TEST_CASE("P10: timers of a child that shares its parent's memory are its own") {
  static timer_t its;
  static int told;
  const handler h{SIGRTMIN + 3, 0};
  const own_stack stack;
  const auto run = [](void*) {
    sigevent e{};
    e.sigev_signo = SIGRTMIN + 3;
    const itimerspec soon = spec(1ms);
    if (timer_create(CLOCK_MONOTONIC, &e, &its) != 0 || timer_settime(its, 0, &soon, nullptr) != 0)
      return 1;
    told = eventually([] { return handled > 0; });
    return 0;
  };
  const pid_t child = clone(run, stack.top(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  REQUIRE_GT(child, 0);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  CHECK_EQ(told, 1);
  itimerspec left{};
  CHECK_EQ(err(timer_gettime(its, &left)), -EINVAL);
}

TEST_CASE("P10: a child has none of them") {
  const posix_timer t{SIGUSR1, CLOCK_MONOTONIC, SIGEV_NONE};
  CHECK(in_child([&] {
    itimerspec s{};
    return timer_gettime(t.id, &s) == -1 && errno == EINVAL;
  }));
}

TEST_CASE("C3: CPU clocks") {
  const blocked signal{SIGUSR1};
  for (const int clock : {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID}) {
    const posix_timer t{SIGUSR1, clock};
    const auto end = now(clock) + 30ms;
    REQUIRE_EQ(t.set(30ms), 0);
    siginfo_t info{};
    const auto limit = now() + slack;
    while (!signal.pending() && now() < limit) {
    }
    CHECK_GE(now(clock), end);
    REQUIRE(signal.take(info, 0ns));
  }
}

TEST_CASE("a CPU timer whose process is gone is off") {
  const pid_t child = fork();
  if (child == 0)
    for (;;) pause();
  clockid_t clock{};
  REQUIRE_EQ(clock_getcpuclockid(child, &clock), 0);
  const posix_timer t{SIGUSR1, clock};
  REQUIRE_EQ(t.set(1h, 1h), 0);
  CHECK_GT(of(t.get().it_value), 30min);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK_EQ(of(t.get().it_value), 0ns);
  CHECK_EQ(of(t.get().it_interval), 0ns);
  CHECK_EQ(t.set(1h), -ESRCH);
}

TEST_CASE("RLIMIT_SIGPENDING: EAGAIN") {
  CHECK(in_child([] {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_SIGPENDING, &none);
    timer_t id{};
    return timer_create(CLOCK_MONOTONIC, nullptr, &id) == -1 && errno == EAGAIN;
  }));
}

TEST_CASE(
    "P5: timers of two threads that share a standard signal do not stand in each other's way") {
  const blocked usr1{SIGUSR1};
  const auto two_of_this_thread = [](std::array<timer_t, 2>& timers) {
    for (timer_t& t : timers) {
      sigevent event{};
      event.sigev_notify = SIGEV_THREAD_ID;
      event.sigev_signo = SIGUSR1;
      event._sigev_un._tid = gettid();
      REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, &event, &t), 0);
      const itimerspec soon = spec(2ms);
      REQUIRE_EQ(timer_settime(t, 0, &soon, nullptr), 0);
    }
  };
  std::array<timer_t, 2> mine{}, others{};
  std::atomic<int> phase = 0;
  std::thread other{[&] {
    two_of_this_thread(others);
    phase = 1;
    phase.notify_one();
    phase.wait(1);
  }};
  phase.wait(0);
  two_of_this_thread(mine);
  pass(20ms);
  siginfo_t info{};
  CHECK(usr1.take(info));
  CHECK(usr1.take(info));
  phase = 2;
  phase.notify_all();
  other.join();
  for (const timer_t t : {mine[0], mine[1], others[0], others[1]}) timer_delete(t);
}
