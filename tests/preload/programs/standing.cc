// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Periodic timers that tell by signals, while these are blocked, ignored, taken by others, sent by others, and the queue
// is short: in the end, when the signals are there for all, none of the timers must stand still.
//   standing SEED

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <thread>

namespace {

constexpr int timer_count = 24;
const std::array<int, 6> signals{SIGUSR1, SIGUSR2, SIGINT, SIGALRM, SIGRTMIN + 3, SIGRTMIN + 4};

std::array<std::atomic<int>, timer_count> told{};
std::array<timer_t, timer_count> timers{};

void on_signal(int, siginfo_t* info, void*) {
  if (info->si_code == SI_TIMER) ++told[static_cast<std::size_t>(info->si_value.sival_int)];
}

void sleep_for_us(long us) {
  timespec left{0, us * 1000};
  while (nanosleep(&left, &left) != 0) {
  }
}

/// How many signals are queued for this user, also in other processes.
rlim_t queued() {
  std::ifstream status{"/proc/self/status"};
  for (std::string word; status >> word;)
    if (rlim_t count = 0; word == "SigQ:" && status >> count) return count;
  return 0;
}

void handle_all() {
  struct sigaction a{};
  a.sa_sigaction = on_signal;
  a.sa_flags = SA_SIGINFO;
  for (const int s : signals) sigaction(s, &a, nullptr);
}

void mask(int how, int signo) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signo);
  pthread_sigmask(how, &one, nullptr);
}

/// Another thread, which blocks them and does not, until it is stopped.
class bystander {
 public:
  explicit bystander(unsigned seed) {
    thread_ = std::thread{[this, seed] {
      std::mt19937 random{seed};
      tid_ = static_cast<int>(syscall(SYS_gettid));
      while (!stops_) {
        mask(random() % 2 == 0 ? SIG_BLOCK : SIG_UNBLOCK, signals[random() % signals.size()]);
        sleep_for_us(static_cast<long>(random() % 400));
      }
      for (const int s : signals) mask(SIG_UNBLOCK, s);
      while (!ends_) sleep_for_us(1000);
    }};
    while (tid_ == 0) std::this_thread::yield();
  }
  ~bystander() {
    ends_ = true;
    thread_.join();
  }
  void stop() { stops_ = true; }
  int tid() const { return tid_; }

 private:
  std::atomic<int> tid_ = 0;
  std::atomic<bool> stops_ = false;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

class run {
 public:
  explicit run(unsigned seed) : random_{seed}, other_{seed + 7} {
    handle_all();
    for (std::size_t i = 0; i != timers.size(); ++i) {
      sigevent e{};
      const bool is_for_thread = pick(3) == 0;
      e.sigev_notify = is_for_thread ? SIGEV_THREAD_ID : SIGEV_SIGNAL;
      if (is_for_thread)
        e._sigev_un._tid = pick(2) == 0 ? other_.tid() : static_cast<int>(syscall(SYS_gettid));
      e.sigev_signo = any_signal();
      e.sigev_value.sival_int = static_cast<int>(i);
      if (timer_create(CLOCK_MONOTONIC, &e, &timers[i]) != 0) std::abort();
      set(i);
    }
    if (pick(2) == 0) {
      const rlim_t few = queued() + 3;
      const rlimit short_queue{few, few};
      setrlimit(RLIMIT_SIGPENDING, &short_queue);
    }
  }

  void step() {
    const int signo = any_signal();
    switch (pick(10)) {
      case 0:
      case 1: mask(SIG_BLOCK, signo); break;
      case 2:
      case 3: mask(SIG_UNBLOCK, signo); break;
      case 4: signal(signo, SIG_IGN); break;
      case 5: handle_all(); break;
      case 6: set(pick(timer_count)); break;
      case 7: take(signo); break;
      case 8: kill(getpid(), signo); break;
      case 9:
        if (pick(8) == 0 && system("true") < 0) std::abort();
    }
    if (pick(3) == 0) sleep_for_us(static_cast<long>(pick(1500)));
  }

  /// How many periodic timers stand still now that nothing is in their way.
  int standing() {
    other_.stop();
    handle_all();
    for (const int s : signals) mask(SIG_UNBLOCK, s);
    sleep_for_us(60'000);
    std::array<int, timer_count> before{};
    for (std::size_t i = 0; i != timers.size(); ++i) before[i] = told[i];
    int found = 0;
    for (std::size_t i = 0; i != timers.size(); ++i) {
      itimerspec left{};
      timer_gettime(timers[i], &left);
      if (left.it_interval.tv_nsec == 0 || left.it_value.tv_nsec == 0) continue;
      for (int ms = 0; told[i] == before[i] && ms != 2'000; ++ms) sleep_for_us(1000);
      if (told[i] != before[i]) continue;
      std::printf("timer %zu stands still, told %d times\n", i, before[i]);
      ++found;
    }
    return found;
  }

 private:
  std::size_t pick(std::size_t below) { return random_() % below; }
  int any_signal() { return signals[pick(signals.size())]; }

  void set(std::size_t i) {
    itimerspec s{};
    s.it_value.tv_nsec = pick(4) == 0 ? 0 : static_cast<long>(50'000 + pick(1'000'000));
    s.it_interval.tv_nsec = pick(4) == 0 ? 0 : static_cast<long>(300'000 + pick(2'000'000));
    timer_settime(timers[i], 0, &s, nullptr);
  }

  static void take(int signo) {
    mask(SIG_BLOCK, signo);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signo);
    siginfo_t info{};
    const timespec at_once{};
    if (sigtimedwait(&one, &info, &at_once) > 0) on_signal(signo, &info, nullptr);
  }

  std::mt19937 random_;
  bystander other_;
};

}  // namespace

int main(int, char** arguments) {
  run r{static_cast<unsigned>(std::atoi(arguments[1]))};
  for (int i = 0; i != 400; ++i) r.step();
  return r.standing() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
