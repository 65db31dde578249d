// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A random run of calls, whose results do not depend on how fast anybody is: timers are due at once or in a
// hundred thousand seconds. It prints each call with all that can be seen of it. The kernel and the engine must
// print the same; run.sh compares.
//   random SEED [CALLS]
// Half of the seeds have two threads that make calls, one at a time, and one program that another becomes by exec.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>

namespace {

constexpr long far = 100'000;
constexpr unsigned long set_ticks = _IOW('T', 0, uint64_t);  // TFD_IOC_SET_TICKS (linux/timerfd.h)
constexpr int slots = 4;

std::mt19937 random_bits;
int fds[slots] = {-1, -1, -1, -1};
timer_t timers[slots];
bool exists[slots];
bool is_on_cpu_clock[slots];
pid_t tells[slots];  // a thread; 0: the process

// Of what a thread has, there is one for each of the two.
constexpr int most_threads = 2;
int threads = 1;
thread_local int self = 0;
pid_t tids[most_threads];

unsigned pick(unsigned n) { return static_cast<unsigned>(random_bits() % n); }

/// What is printed after a call: handlers may come before that has said what it returned, or later.
struct page {
  char text[4000];
  size_t size = 0;

  void add(const char* format, va_list arguments) {
    const int n = vsnprintf(text + size, sizeof text - size, format, arguments);
    if (n < 0 || size + static_cast<size_t>(n) >= sizeof text) abort();
    size += static_cast<size_t>(n);
  }
  void print() {
    if (write(1, text, size) != static_cast<ssize_t>(size)) abort();
    size = 0;
  }
};
page calls_page, handlers_pages[most_threads];
std::atomic_flag are_pages_taken;  // by a handler, or by who prints

[[gnu::format(printf, 1, 2)]] void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  calls_page.add(format, arguments);
  va_end(arguments);
}
[[gnu::format(printf, 1, 2)]] void hear(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  while (are_pages_taken.test_and_set()) continue;
  handlers_pages[self].add(format, arguments);
  are_pages_taken.clear();
  va_end(arguments);
}
void print_pages() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  while (are_pages_taken.test_and_set()) continue;
  calls_page.print();
  for (page& p : handlers_pages) p.print();
  are_pages_taken.clear();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

const char* outcome(long result) {
  static char text[40];
  if (result == -1)
    snprintf(text, sizeof text, "%s", strerrorname_np(errno));
  else
    snprintf(text, sizeof text, "%ld", result);
  return text;
}

/// So that only what is sure is said of a time that remains, or of a count.
const char* about(long s, long ns) {
  if (s == 0 && ns == 0) return "0";
  if (s == 0 && ns < 1'000'000) return "tiny";
  if (s >= far - 60 && s <= far) return "far";
  return "odd";
}
const char* many(uint64_t n) {
  static char text[24];
  if (n > 100 && n < (uint64_t{1} << 62)) return "many";
  snprintf(text, sizeof text, "%llu", static_cast<unsigned long long>(n));
  return text;
}
void say_left(const itimerspec& left) {
  const bool is_quick = left.it_interval.tv_sec == 0 && left.it_interval.tv_nsec == 1;
  say(" left %s", is_quick ? "soon" : about(left.it_value.tv_sec, left.it_value.tv_nsec));
  say(" every %s\n", about(left.it_interval.tv_sec, left.it_interval.tv_nsec));
}

template <class Say>
void say_signal(Say say, const char* how, const siginfo_t& info) {
  const int saved = errno;
  say("  %s: signal %d code %d value %d", how, info.si_signo, info.si_code,
      info.si_value.sival_int);
  if (info.si_code == SI_TIMER) {
    int which = -1;
    for (int i = 0; i != slots; ++i)
      if (exists[i] && static_cast<int>(reinterpret_cast<intptr_t>(timers[i])) == info.si_timerid)
        which = i;
    say(" timer %d overrun %s", which, many(static_cast<uint64_t>(info.si_overrun)));
  }
  say("\n");
  errno = saved;
}
void handler(int, siginfo_t* info, void*) {
  say_signal(hear, self == 0 ? "handler" : "handler of the second thread", *info);
}

bool is_pending(int signo) {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, signo) == 1;
}

/// \param quick whether the interval may be of a nanosecond, without end where each is told by a signal
itimerspec pick_setting(bool quick) {
  const auto pick_time = [quick](bool is_value) -> timespec {
    switch (pick(is_value ? 9 : 7)) {
      case 0:
      case 1: return {0, 0};
      case 2: return {0, is_value || quick ? 1 : 0};
      case 3:
      case 4: return {far, 0};
      case 5: return pick(4) == 0 ? timespec{-1, 0} : timespec{far, 0};
      case 6: return pick(4) == 0 ? timespec{0, 1'000'000'000} : timespec{0, 0};
      default: return {0, 1};
    }
  };
  return {pick_time(false), pick_time(true)};
}
void say_setting(const itimerspec& s) {
  say(" {%ld.%ld every %ld.%ld}", s.it_value.tv_sec, s.it_value.tv_nsec, s.it_interval.tv_sec,
      s.it_interval.tv_nsec);
}

/// Whether a thread has it not blocked; whether it is ignored.
bool may_come[most_threads][128];
bool is_ignored[128];

/// Each has a signal of its own: which of two comes first is another matter.
int signal_of(int slot) { return SIGRTMIN + slot; }
int pick_signal() { return pick(3) == 0 ? SIGALRM : SIGRTMIN + static_cast<int>(pick(slots)); }

void timerfd_call() {
  const int i = static_cast<int>(pick(slots));
  if (fds[i] == -1 || pick(16) == 0) {
    if (fds[i] != -1) say("close %d: %s\n", i, outcome(close(fds[i])));
    constexpr int clocks[] = {CLOCK_REALTIME,       CLOCK_MONOTONIC,      CLOCK_BOOTTIME,
                              CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, CLOCK_PROCESS_CPUTIME_ID};
    const int clock = clocks[pick(8) == 0 ? 5 : pick(5)];
    fds[i] = timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC | (pick(16) == 0 ? 1 : 0));
    say("timerfd_create %d clock %d: %s\n", i, clock,
        fds[i] == -1 ? strerrorname_np(errno) : "a descriptor");
    return;
  }
  itimerspec left{{7, 7}, {7, 7}};
  switch (pick(13)) {
    case 0:
    case 1:
    case 2: {
      const itimerspec s = pick_setting(true);
      const int flags = pick(3) == 0 ? static_cast<int>(pick(5)) : 0;
      say("timerfd_settime %d flags %d", i, flags);
      say_setting(s);
      itimerspec* const old = pick(2) == 0 ? nullptr : &left;
      say(": %s", outcome(pick(4) == 0 ? syscall(SYS_timerfd_settime, fds[i], flags, &s, old)
                                       : timerfd_settime(fds[i], flags, &s, old)));
      old ? say_left(left) : say("\n");
      break;
    }
    case 3: {
      say("timerfd_gettime %d: %s", i, outcome(timerfd_gettime(fds[i], &left)));
      say_left(left);
      break;
    }
    case 4:
    case 5: {
      uint64_t count[2] = {0, 0};
      const size_t size = pick(6) == 0 ? 4 : pick(6) == 0 ? 16 : 8;
      say("read %d size %zu: %s", i, size,
          outcome(pick(4) == 0 ? syscall(SYS_read, fds[i], count, size)
                               : read(fds[i], count, size)));
      say(" count %s\n", many(count[0]));
      break;
    }
    case 6: {
      pollfd p{fds[i], POLLIN | POLLOUT, 0};
      const int n = poll(&p, 1, 0);
      say("poll %d: %s events %x\n", i, outcome(n), static_cast<unsigned>(p.revents));
      break;
    }
    case 7: {
      const int to = static_cast<int>(pick(slots));
      if (to == i) break;
      if (fds[to] == -1) {
        fds[to] = dup(fds[i]);
        say("dup %d to %d\n", i, to);
      } else {
        say("dup2 %d to %d: %s\n", i, to,
            dup2(fds[i], fds[to]) == fds[to] ? "done" : strerrorname_np(errno));
      }
      break;
    }
    case 8: {
      const uint64_t ticks = pick(4);
      say("ioctl %d ticks %d: %s\n", i, static_cast<int>(ticks),
          outcome(ioctl(fds[i], set_ticks, &ticks)));
      break;
    }
    case 9: {  // does not wait: there is something
      pollfd p{fds[i], POLLIN, 0};
      if (poll(&p, 1, 0) != 1) break;
      const int flags = fcntl(fds[i], F_GETFL);
      fcntl(fds[i], F_SETFL, flags & ~O_NONBLOCK);
      uint64_t count = 0;
      say("blocking read %d: %s", i, outcome(read(fds[i], &count, sizeof count)));
      say(" count %s\n", many(count));
      fcntl(fds[i], F_SETFL, flags);
      break;
    }
    case 10: {
      uint32_t parts[4] = {};
      const bool is_enough = pick(3) != 0;
      iovec to[] = {{parts, 4}, {parts + 1, is_enough ? 12U : 3U}};
      say("readv %d: %s", i, outcome(readv(fds[i], to, 2)));
      say(" count %s\n", many(parts[0] + (uint64_t{parts[1]} << 32)));
      break;
    }
    case 11: {
      void* volatile hidden = nullptr;  // from the compiler, which would warn
      void* const nowhere = hidden;
      if (pick(2) == 0)
        say("read %d into nowhere: %s\n", i, outcome(read(fds[i], nowhere, 8)));
      else
        say("gettime %d into nowhere: %s\n", i,
            outcome(timerfd_gettime(fds[i], static_cast<itimerspec*>(nowhere))));
      break;
    }
    default: {
      const uint64_t one = 1;
      say("flags %d: %x\n", i, static_cast<unsigned>(fcntl(fds[i], F_GETFL)));
      say("write %d: %s\n", i, outcome(write(fds[i], &one, sizeof one)));
      say("lseek %d: %s\n", i, outcome(lseek(fds[i], 0, SEEK_CUR)));
      say("pread %d: %s\n", i, outcome(pread(fds[i], &left, 8, 0)));
    }
  }
}

void posix_timer_call() {
  const int i = static_cast<int>(pick(slots));
  if (!exists[i]) {
    sigevent event{};
    event.sigev_signo = signal_of(i);
    event.sigev_value.sival_int = 100 + i;
    constexpr int kinds[] = {SIGEV_SIGNAL, SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID};
    event.sigev_notify = pick(20) == 0 ? 77 : kinds[pick(4)];
    if (pick(20) == 0) event.sigev_signo = 65;
    event._sigev_un._tid = tids[pick(static_cast<unsigned>(threads))];
    tells[i] = event.sigev_notify == SIGEV_THREAD_ID ? event._sigev_un._tid : 0;
    constexpr int clocks[] = {CLOCK_REALTIME,           CLOCK_MONOTONIC,
                              CLOCK_BOOTTIME,           CLOCK_TAI,
                              CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                              CLOCK_MONOTONIC_RAW,      CLOCK_REALTIME_ALARM};
    const int clock = clocks[pick(12) == 0 ? 6 + pick(2) : pick(6)];
    is_on_cpu_clock[i] = clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
    exists[i] = timer_create(clock, &event, &timers[i]) == 0;
    say("timer_create %d clock %d notify %d signal %d: %s\n", i, clock, event.sigev_notify,
        event.sigev_signo, exists[i] ? "a timer" : strerrorname_np(errno));
    return;
  }
  itimerspec left{{7, 7}, {7, 7}};
  unsigned what = pick(9);
  // What such a one has told already may interrupt the other thread, see the README of examples/preload.
  if (tells[i] != 0 && tells[i] != tids[self]) what = 4 + what % 4;
  switch (what) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const itimerspec s = pick_setting(false);
      int flags = pick(3) == 0 ? static_cast<int>(pick(3)) : 0;
      // So that it is due now, not when so much CPU time has been used.
      if (is_on_cpu_clock[i] && s.it_value.tv_nsec == 1) flags |= TIMER_ABSTIME;
      say("timer_settime %d flags %d", i, flags);
      say_setting(s);
      itimerspec* const old = pick(2) == 0 ? nullptr : &left;
      // (libc's timer_t is the kernel's number, where it tells by no thread.)
      say(": %s", outcome(pick(4) == 0 ? syscall(SYS_timer_settime, timers[i], flags, &s, old)
                                       : timer_settime(timers[i], flags, &s, old)));
      old ? say_left(left) : say("\n");
      break;
    }
    case 4:
    case 5: {
      say("timer_gettime %d: %s", i, outcome(timer_gettime(timers[i], &left)));
      say_left(left);
      break;
    }
    case 6:
    case 7: {
      const int overrun = timer_getoverrun(timers[i]);
      say("timer_getoverrun %d: %s\n", i, overrun > 100 ? "many" : outcome(overrun));
      break;
    }
    default: {
      say("timer_delete %d: ", i);
      const int result = timer_delete(timers[i]);
      exists[i] = false;
      say("%s\n", outcome(result));
    }
  }
}

void itimer_call() {
  const auto which = static_cast<__itimer_which_t>(pick(3));
  itimerval left{{7, 7}, {7, 7}};
  const auto say_left = [&] {
    // (A little more than what was set: I5.)
    const auto near = [](const timeval& t) {
      return about(std::min(long{t.tv_sec}, far), t.tv_usec * 1000);
    };
    say(" left %s", near(left.it_value));
    say(" every %s\n", near(left.it_interval));
  };
  switch (pick(4)) {
    case 0: {
      say("getitimer %d: %s", which, outcome(getitimer(which, &left)));
      say_left();
      break;
    }
    case 1: {
      if (which != ITIMER_REAL) break;
      const unsigned seconds = pick(2) == 0 ? 0 : static_cast<unsigned>(far);
#if defined(SYS_alarm)
      const long rest = pick(2) == 0 ? syscall(SYS_alarm, seconds) : alarm(seconds);
#else
      const long rest = alarm(seconds);
#endif
      say("alarm %u: %s\n", seconds, about(rest, 0));
      break;
    }
    default: {
      itimerval s{};
      if (pick(3) != 0)
        s.it_value = pick(2) == 0 && which == ITIMER_REAL ? timeval{0, 1} : timeval{far, 0};
      if (pick(3) == 0) s.it_interval = {far, 0};
      if (pick(12) == 0) s.it_value.tv_usec = 1'000'000;
      say("setitimer %d {%ld.%ld every %ld}: ", which, s.it_value.tv_sec, s.it_value.tv_usec,
          s.it_interval.tv_sec);
      say("%s", outcome(setitimer(which, &s, &left)));
      say_left();
    }
  }
}

void signal_call() {
  const int signo = pick_signal();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  switch (pick(10)) {
    case 0:
    case 1: {
      say("block %d\n", signo);
      pthread_sigmask(SIG_BLOCK, &set, nullptr);
      may_come[self][signo] = false;
      break;
    }
    case 2: {
      // Which of two threads gets it is anybody's guess, and so is which is asked whether it is ignored.
      if (may_come[1 - self][signo] || (threads == 2 && is_ignored[signo])) break;
      say("unblock %d\n", signo);
      may_come[self][signo] = true;
      pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
      break;
    }
    case 3: {
      if (threads == 2 && (may_come[0][signo] || may_come[1][signo])) break;
      say("ignore %d\n", signo);
      is_ignored[signo] = true;
      signal(signo, SIG_IGN);
      break;
    }
    case 4: {
      say("handle %d\n", signo);
      is_ignored[signo] = false;
      struct sigaction a{};
      a.sa_sigaction = handler;
      a.sa_flags = SA_SIGINFO | SA_RESTART;
      sigfillset(&a.sa_mask);
      sigaction(signo, &a, nullptr);
      break;
    }
    case 5: {  // by a mask for a moment
      if (may_come[1 - self][signo]) break;
      sigset_t mask;
      pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      sigdelset(&mask, signo);
      const timespec moment{0, pick(2) == 0 ? 0 : 1'000'000};
      if (pick(2) == 0) {
        say("ppoll with %d for %ld ns", signo, moment.tv_nsec);
        say(": %s\n", outcome(ppoll(nullptr, 0, &moment, &mask)));
      } else {
        say("pselect with %d for %ld ns", signo, moment.tv_nsec);
        say(": %s\n", outcome(pselect(0, nullptr, nullptr, nullptr, &moment, &mask)));
      }
      break;
    }
    case 6: {  // a signal that is no timer's
      const timespec at_once{};
      if (signo == SIGALRM || sigtimedwait(&set, nullptr, &at_once) != -1) break;
      say("queue %d", signo);
      say(": %s\n", outcome(sigqueue(getpid(), signo, {.sival_int = 7})));
      break;
    }
    default: {
      say("take %d\n", signo);
      const timespec at_once{};
      siginfo_t info{};
      const long taken = pick(4) == 0
                             ? syscall(SYS_rt_sigtimedwait, &set, &info, &at_once, _NSIG / 8)
                             : sigtimedwait(&set, &info, &at_once);
      if (taken == signo)
        say_signal(say, "taken", info);
      else
        say("  %s\n", strerrorname_np(errno));
    }
  }
}

/// Timers that start threads: given time enough to have done so.
void thread_call() {
  constexpr unsigned timers_of_threads = 2;
  static timer_t made[timers_of_threads];
  static bool is_there[timers_of_threads];
  static std::atomic<int> started[timers_of_threads];
  const unsigned i = pick(timers_of_threads);
  itimerspec left{{7, 7}, {7, 7}};
  if (!is_there[i]) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_value.sival_int = static_cast<int>(i);
    event.sigev_notify_function = [](sigval v) { ++started[v.sival_int]; };
    is_there[i] = timer_create(CLOCK_MONOTONIC, &event, &made[i]) == 0;
    say("timer_create of threads %u: %s\n", i, is_there[i] ? "a timer" : strerrorname_np(errno));
  } else if (pick(8) == 0) {
    say("timer_delete of threads %u: %s\n", i, outcome(timer_delete(made[i])));
    is_there[i] = false;
  } else {
    const itimerspec s = pick_setting(false);
    say("timer_settime of threads %u", i);
    say_setting(s);
    say(": %s", outcome(timer_settime(made[i], 0, &s, &left)));
    say_left(left);
    const timespec a_while{0, 5'000'000};
    timespec rest = a_while;
    while (nanosleep(&rest, &rest) == -1 && errno == EINTR) continue;
    say("  started %d", started[i].load());
    say(" timer_gettime: %s", outcome(timer_gettime(made[i], &left)));
    say_left(left);
    say("  timer_getoverrun: %s\n", outcome(timer_getoverrun(made[i])));
  }
}

/// Readiness in the kernel's own eyes: a set that watches, by level and by edge.
void epoll_call() {
  static const int set = epoll_create1(EPOLL_CLOEXEC);
  const int i = static_cast<int>(pick(slots));
  if (fds[i] == -1) return;
  epoll_event event{};
  event.data.u64 = static_cast<uint64_t>(i);
  switch (pick(6)) {
    case 0:
    case 1: {
      constexpr uint32_t kinds[] = {EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLONESHOT,
                                    EPOLLIN | EPOLLOUT};
      event.events = kinds[pick(4)];
      say("epoll_ctl add %d events %x: %s", i, event.events,
          outcome(epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &event)));
      say(" mod: %s\n", outcome(epoll_ctl(set, EPOLL_CTL_MOD, fds[i], &event)));
      break;
    }
    case 2: {
      say("epoll_ctl del %d: %s\n", i, outcome(epoll_ctl(set, EPOLL_CTL_DEL, fds[i], nullptr)));
      break;
    }
    default: {
      epoll_event got[slots];
      const int n = epoll_wait(set, got, slots, 0);
      uint32_t events[slots] = {};
      for (int k = 0; k < n; ++k) events[got[k].data.u64] |= got[k].events;
      say("epoll_wait: %s", outcome(n));
      for (const uint32_t of_slot : events) say(" %x", of_slot);
      say("\n");
    }
  }
}

/// Reads a signal of those that are blocked.
void signalfd_call() {
  sigset_t set;
  sigemptyset(&set);
  const int signo = SIGRTMIN + static_cast<int>(pick(slots));
  sigaddset(&set, signo);
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  if (!sigismember(&blocked, signo)) return;
  const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  signalfd_siginfo got{};
  const long size = read(fd, &got, sizeof got);
  say("signalfd %d: %s", signo, outcome(size));
  if (size > 0)
    say(" code %d value %d overrun %s", got.ssi_code, got.ssi_int,
        got.ssi_code == SI_TIMER ? many(got.ssi_overrun) : "-");
  say("\n");
  close(fd);
}

void fork_call() {
  say("fork\n");
  calls_page.print();
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i != slots; ++i) {
      itimerspec left{};
      if (fds[i] != -1) {
        uint64_t count = 0;
        const long result = pick(2) == 0 ? read(fds[i], &count, sizeof count) : 0;
        say("  child: timerfd %d: %s count %s", i, outcome(result), many(count));
        say(" gettime %s", outcome(timerfd_gettime(fds[i], &left)));
        say_left(left);
      }
      if (exists[i]) say("  child: timer %d: %s\n", i, outcome(timer_gettime(timers[i], &left)));
    }
    itimerval left{};
    getitimer(ITIMER_REAL, &left);
    say("  child: itimer left %s\n", about(left.it_value.tv_sec, left.it_value.tv_usec * 1000));
    calls_page.print();
    _exit(0);
  }
  int status = -1;
  while (waitpid(child, &status, 0) == -1 && errno == EINTR) continue;
  say("  child ended: %d\n", status);
}

/// The clock is set, by a nanosecond and back.
void clock_call() {
  timex change{};
  change.modes = ADJ_SETOFFSET | ADJ_NANO;
  change.time = {0, 1};
  const int forth = clock_adjtime(CLOCK_REALTIME, &change);
  change.time = {-1, 999'999'999};
  const int back = clock_adjtime(CLOCK_REALTIME, &change);
  say("clock_adjtime: %s\n", forth == -1 || back == -1 ? strerrorname_np(errno) : "done");
}

/// Another program comes, with what a process keeps.
void exec_call(int calls) {
  // (See the README of examples/preload.)
  itimerval real{};
  getitimer(ITIMER_REAL, &real);
  const bool has_stopped = real.it_value.tv_sec == 0 && real.it_interval.tv_sec != 0;
  if (has_stopped || is_pending(SIGALRM)) return;
  say("exec by thread %d\n", self);
  print_pages();
  char seed[16], left[16];
  snprintf(seed, sizeof seed, "%u", static_cast<unsigned>(random_bits() | 1U));
  snprintf(left, sizeof left, "%d", calls);
  execl("/proc/self/exe", "random", seed, left, nullptr);
  abort();
}

void any_call(int calls) {
  const unsigned what = pick(100);
  if (what < 28)
    timerfd_call();
  else if (what < 52)
    posix_timer_call();
  else if (what < 59)
    itimer_call();
  else if (what < 60)
    thread_call();
  else if (what < 78)
    signal_call();
  else if (what < 90)
    epoll_call();
  else if (what < 96)
    signalfd_call();
  else if (what < 98)
    fork_call();
  else if (what < 99)
    clock_call();
  else if (threads == 2)
    exec_call(calls);
}

sem_t is_asked, is_answered;
int calls_left;
void* second_thread(void*) {
  self = 1;
  tids[1] = static_cast<pid_t>(gettid());
  for (;;) {
    sem_post(&is_answered);
    while (sem_wait(&is_asked) == -1) continue;
    any_call(calls_left);
  }
}
void wait_for_answer() {
  while (sem_wait(&is_answered) == -1) continue;
}

void let_all_expire() {
  // The engine looks when it is asked anything.
  const timespec soon{0, 300'000};
  timespec left = soon;
  while (nanosleep(&left, &left) == -1 && errno == EINTR) continue;
  sigset_t pending;
  sigpending(&pending);
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned seed = argc > 1 ? static_cast<unsigned>(strtoul(argv[1], nullptr, 0)) : 1;
  random_bits.seed(seed);
  calls_left = argc > 2 ? atoi(argv[2]) : 80;
  threads = seed % 2 == 0 ? 1 : 2;
  tids[0] = getpid();
  struct sigaction a{};
  a.sa_sigaction = handler;
  a.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&a.sa_mask);
  sigset_t of_timers;
  sigemptyset(&of_timers);
  const auto begin = [&](int signo) {
    sigaction(signo, &a, nullptr);
    sigaddset(&of_timers, signo);
  };
  begin(SIGALRM);
  for (int i = 0; i != slots; ++i) begin(signal_of(i));
  pthread_sigmask(threads == 2 ? SIG_BLOCK : SIG_UNBLOCK, &of_timers, nullptr);
  if (threads == 2) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, second_thread, nullptr) != 0) abort();
    wait_for_answer();
  } else {
    std::fill_n(may_come[0], 128, true);
  }
  while (calls_left-- > 0) {
    if (threads == 2 && pick(2) == 0) {
      sem_post(&is_asked);
      wait_for_answer();
    } else {
      any_call(calls_left);
    }
    let_all_expire();
    print_pages();
  }
  return 0;
}
