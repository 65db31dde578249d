// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <sys/time.h>

#include <atomic>
#include <thread>

#include "support.hpp"

using namespace preload_test;
using std::chrono::microseconds;

namespace {

itimerval val(microseconds value, microseconds interval = 0us) {
  return {{interval / 1s, (interval % 1s).count()}, {value / 1s, (value % 1s).count()}};
}
microseconds of(const timeval& t) {
  return std::chrono::seconds{t.tv_sec} + microseconds{t.tv_usec};
}
long set(int which, microseconds value, microseconds interval = 0us, itimerval* old = nullptr) {
  const itimerval v = val(value, interval);
  return err(setitimer(which, &v, old));
}
itimerval get(int which) {
  itimerval v{};
  REQUIRE_EQ(getitimer(which, &v), 0);
  return v;
}

}  // namespace

TEST_CASE("I1, E9: arguments") {
  itimerval v{};
  CHECK_EQ(set(3, 1s), -EINVAL);
  CHECK_EQ(err(getitimer(static_cast<__itimer_which>(3), &v)), -EINVAL);
  const itimerval wrong{{0, 0}, {0, 1'000'000}};
  CHECK_EQ(err(setitimer(ITIMER_REAL, &wrong, nullptr)), -EINVAL);
  CHECK_EQ(err(syscall(SYS_setitimer, ITIMER_REAL, 8, nullptr)), -EFAULT);
  CHECK_EQ(err(syscall(SYS_getitimer, ITIMER_REAL, 8)), -EFAULT);
}

TEST_CASE("I2, I3, I8, I9: what is left") {
  CHECK_EQ(set(ITIMER_REAL, 10s, 3s), 0);
  CHECK_LE(of(get(ITIMER_REAL).it_value), 10s);
  CHECK_GT(of(get(ITIMER_REAL).it_value), 4s);
  CHECK_EQ(of(get(ITIMER_REAL).it_interval), 3s);
  itimerval old{};
  CHECK_EQ(syscall(SYS_setitimer, ITIMER_REAL, nullptr, &old), 0);
  CHECK_EQ(of(old.it_interval), 3s);
  CHECK_EQ(of(get(ITIMER_REAL).it_interval), 0s);
  CHECK_EQ(set(ITIMER_VIRTUAL, 0s, 5ms), 0);
  CHECK_EQ(of(get(ITIMER_VIRTUAL).it_interval), 5ms);
  CHECK_EQ(set(ITIMER_VIRTUAL, 0s), 0);
  CHECK_EQ(alarm(100), 0);
  CHECK_EQ(alarm(50), 100);
  CHECK_EQ(ualarm(500'000, 0), doctest::Approx(50e6).epsilon(0.1));
  CHECK_EQ(alarm(0), 1);  // never 0 while it was running
  CHECK_EQ(alarm(0), 0);
}

TEST_CASE("I4, I6: pending, accepted, in phase") {
  const blocked alarm{SIGALRM};
  REQUIRE_EQ(set(ITIMER_REAL, 2ms, 10s), 0);
  REQUIRE(eventually([&] { return alarm.pending(); }));
  CHECK_EQ(of(get(ITIMER_REAL).it_value), 0us);
  CHECK_EQ(of(get(ITIMER_REAL).it_interval), 10s);
  siginfo_t info{};
  REQUIRE(alarm.take(info));
  CHECK_EQ(info.si_code, SI_KERNEL);
  CHECK_GT(of(get(ITIMER_REAL).it_value), 4s);
  REQUIRE_EQ(set(ITIMER_REAL, 1ms), 0);
  REQUIRE(eventually([&] { return alarm.pending(); }));
  REQUIRE_EQ(set(ITIMER_REAL, 0us), 0);
  CHECK(alarm.pending());
}

TEST_CASE("a handler is called again and again") {
  for (const int which : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
    const int signo = which == ITIMER_REAL      ? SIGALRM
                      : which == ITIMER_VIRTUAL ? SIGVTALRM
                                                : SIGPROF;
    static std::atomic<int> calls;
    calls = 0;
    const auto old = signal(signo, [](int) { ++calls; });
    REQUIRE_EQ(set(which, 5ms, 5ms), 0);
    const auto limit = now() + slack;
    while (calls < 4 && now() < limit) {
    }
    CHECK_GE(calls, 4);
    CHECK_EQ(set(which, 0us), 0);
    signal(signo, old);
  }
}

TEST_CASE("P13: CPU time is told to the thread that uses it") {
  static std::atomic<int> here, elsewhere;
  static std::atomic<pid_t> burner;
  here = elsewhere = 0;
  burner = 0;
  struct sigaction a{}, old{};
  a.sa_handler = [](int) { ++(gettid() == burner ? here : elsewhere); };
  sigaction(SIGPROF, &a, &old);
  std::thread burning{[] {
    burner = gettid();
    set(ITIMER_PROF, 5ms, 5ms);
    const auto limit = now() + slack;
    while (here + elsewhere < 5 && now() < limit) {
    }
    set(ITIMER_PROF, 0us);
  }};
  burning.join();
  sigaction(SIGPROF, &old, nullptr);
  CHECK_GE(here, 5);
  CHECK_EQ(elsewhere, 0);
}

TEST_CASE("I10: ignored when it expires, a periodic one stops") {
  const auto old = signal(SIGALRM, SIG_IGN);
  REQUIRE_EQ(set(ITIMER_REAL, 1ms, 1ms), 0);
  CHECK(eventually([] { return of(get(ITIMER_REAL).it_value) == 0us; }));
  pass(5ms);
  CHECK_EQ(of(get(ITIMER_REAL).it_value), 0us);
  CHECK_EQ(of(get(ITIMER_REAL).it_interval), 1ms);
  set(ITIMER_REAL, 0us);
  signal(SIGALRM, old);
}

TEST_CASE("I10: blocked and ignored when it expires, then unblocked, it goes on") {
  static std::atomic<int> calls;
  calls = 0;
  const auto old = signal(SIGALRM, SIG_IGN);
  {
    const blocked alarm{SIGALRM};
    REQUIRE_EQ(set(ITIMER_REAL, 1ms, 60ms), 0);
    REQUIRE(eventually([&] { return alarm.pending(); }));
    sigset_t set = alarm.set();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    CHECK_GT(of(get(ITIMER_REAL).it_value), 0us);
  }
  signal(SIGALRM, [](int) { ++calls; });
  CHECK(eventually([] { return calls >= 2; }));
  set(ITIMER_REAL, 0us);
  signal(SIGALRM, old);
}

TEST_CASE("I7: the child's are off, and SIGALRM ends a program") {
  REQUIRE_EQ(set(ITIMER_REAL, 100s), 0);
  CHECK(in_child([] { return of(get(ITIMER_REAL).it_value) == 0us; }));
  CHECK_GT(alarm(0), 50);
  const pid_t child = fork();
  if (child == 0) {
    set(ITIMER_REAL, 5ms);
    for (;;) pause();
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), SIGALRM);
}

TEST_CASE("I7: an exec keeps it") {
  const pid_t child = fork();
  if (child == 0) {
    set(ITIMER_REAL, 30ms);
    execlp("sleep", "sleep", "20", static_cast<char*>(nullptr));
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), SIGALRM);
}

TEST_CASE("(after an exec) SIGALRM was pending, and comes again" * doctest::skip()) {
  const blocked alarm{SIGALRM};  // it was already
  REQUIRE(alarm.pending());
  siginfo_t info{};
  for (int i = 0; i < 2; ++i) {
    REQUIRE(alarm.take(info));
    CHECK_EQ(info.si_code, SI_KERNEL);
  }
}

TEST_CASE("I7: an exec keeps one whose signal is pending") {
  CHECK(in_child([] {
    const blocked alarm{SIGALRM};
    if (set(ITIMER_REAL, 5ms, 5ms) != 0 || !eventually([&] { return alarm.pending(); }))
      return false;
    execl("/proc/self/exe", "after", "--no-skip", "--minimal",
          "--test-case=(after an exec) SIGALRM*", static_cast<char*>(nullptr));
    return false;
  }));
}

TEST_CASE("(after an exec) CPU timers are there" * doctest::skip()) {
  for (const auto which : {ITIMER_VIRTUAL, ITIMER_PROF}) {
    itimerval left{};
    REQUIRE_EQ(getitimer(which, &left), 0);
    REQUIRE_EQ(left.it_interval.tv_sec, 300);
    REQUIRE_LE(of(left.it_value), 300s + 4ms);  // I5, once
    REQUIRE_GE(of(left.it_value), 290s);
    REQUIRE_EQ(set(which, 0us, 300s), 0);
  }
  if (getenv("CHIME_TEST_AGAIN") == nullptr) return;
  unsetenv("CHIME_TEST_AGAIN");
  execl("/proc/self/exe", "after", "--no-skip", "--minimal",
        "--test-case=(after an exec) CPU timers that are off*", static_cast<char*>(nullptr));
  FAIL("no exec");
}
TEST_CASE("(after an exec) CPU timers that are off have their interval" * doctest::skip()) {
  for (const auto which : {ITIMER_VIRTUAL, ITIMER_PROF}) {
    itimerval left{};
    REQUIRE_EQ(getitimer(which, &left), 0);
    CHECK_EQ(left.it_interval.tv_sec, 300);
    CHECK_EQ(of(left.it_value), 0s);
  }
}

TEST_CASE("I7, I3: an exec keeps CPU timers, and does not lengthen them") {
  CHECK(in_child([] {
    for (const auto which : {ITIMER_VIRTUAL, ITIMER_PROF})
      if (set(which, 300s, 300s) != 0) return false;
    setenv("CHIME_TEST_AGAIN", "1", 1);
    execl("/proc/self/exe", "after", "--no-skip", "--minimal",
          "--test-case=(after an exec) CPU timers are there", static_cast<char*>(nullptr));
    return false;
  }));
}

TEST_CASE("(after an exec) a timer that expired meanwhile is turned off" * doctest::skip()) {
  const blocked alarm{SIGALRM};
  REQUIRE_EQ(set(ITIMER_REAL, 0us), 0);
  siginfo_t info{};
  while (alarm.take(info, 5ms)) {
  }
  pass(20ms);
  CHECK_FALSE(alarm.pending());
}

TEST_CASE("I7: an exec keeps one that expires meanwhile, and no longer than it is wanted") {
  for (int i = 0; i < 30; ++i)
    REQUIRE(in_child([&] {
      const blocked alarm{SIGALRM};
      if (set(ITIMER_REAL, 500us + i * 20us, 1ms) != 0) return false;
      execl("/proc/self/exe", "after", "--no-skip", "--minimal",
            "--test-case=(after an exec) a timer*", static_cast<char*>(nullptr));
      return false;
    }));
}

TEST_CASE("an exec that fails leaves it as it was") {
  REQUIRE_EQ(set(ITIMER_REAL, 100s), 0);
  CHECK_EQ(execl("/nowhere", "x", static_cast<char*>(nullptr)), -1);
  CHECK_GT(alarm(0), 50);
}
