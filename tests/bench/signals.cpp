// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What an expiration of a kernel's POSIX timer costs in CPU time, user and system: awaited, and
// taken by a sigwaitinfo(2) loop by hand that keeps the same accounts. The median of the rounds;
// fails where that is more than 1.3 times by hand (times CHIME_FACTOR) in three comparisons one after another.
// Usage: signals [timers] [rounds]

#include "factor.hpp"

#include <chime/basic_timer.hpp>
#include <chime/kernel/posix_timer.hpp>
#include <chime/shim/posix_timer.hpp>

#include <sys/resource.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace asio = boost::asio;
namespace shim = chime::shim;
using namespace std::chrono_literals;
using chime::monotonic_clock;
using chime::nanoseconds;

namespace {

constexpr nanoseconds interval = 10ms;
constexpr nanoseconds length = 1s;

double cpu_used() {
  ::rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const ::timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

monotonic_clock::time_point nth(monotonic_clock::time_point start, int i, int timers) {
  return start + 20ms + interval * i / timers;
}

struct account {
  std::uint64_t expirations = 0;
  monotonic_clock::time_point scheduled;
};

/// Nanoseconds of CPU an expiration.
double cost(double cpu, const std::vector<account>& accounts) {
  double n = 0;
  for (const account& a : accounts) n += static_cast<double>(a.expirations);
  return cpu / n * 1e9;
}

double by_hand(int timers) {
  ::sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGRTMIN);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::vector<account> accounts(static_cast<std::size_t>(timers));
  std::vector<shim::posix_timer> armed;
  const auto start = monotonic_clock::now();
  for (int i = 0; i < timers; ++i) {
    ::sigval value{};
    value.sival_int = i;
    const ::sigevent event = shim::notify_thread(::gettid(), SIGRTMIN, value);
    armed.push_back(shim::timer_create(shim::clock_id::monotonic, &event).value());
    const auto first = nth(start, i, timers);
    accounts[static_cast<std::size_t>(i)].scheduled = first - interval;
    shim::timer_settime(*armed.back(), shim::timer_set_flags::abstime,
                        {chime::to_timespec<shim::timespec>(interval),
                         chime::to_timespec<shim::timespec>(first.time_since_epoch())})
        .value();
  }
  const double before = cpu_used();
  while (monotonic_clock::now() < start + length) {
    ::siginfo_t info{};
    if (::sigwaitinfo(&set, &info) == -1) continue;
    account& a = accounts[static_cast<std::size_t>(info.si_value.sival_int)];
    const auto n = 1 + static_cast<std::uint64_t>(info.si_overrun);
    a.expirations += n;
    a.scheduled += interval * n;
  }
  return cost(cpu_used() - before, accounts);
}

double awaited(int timers) {
  using timer = chime::basic_timer<chime::kernel::posix_timer<monotonic_clock>>;
  asio::io_context context{1};
  std::vector<account> accounts(static_cast<std::size_t>(timers));
  struct waiting {
    timer& t;
    account& mine;
    void operator()(chime::error_code ec, timer::expiry_type e) {
      if (ec) return;
      mine.expirations += e.expirations;
      mine.scheduled = e.scheduled;
      t.async_wait(waiting{*this});
    }
  };
  std::vector<std::unique_ptr<timer>> armed;
  const auto start = monotonic_clock::now();
  for (int i = 0; i < timers; ++i) {
    armed.push_back(std::make_unique<timer>(context));
    armed.back()->set(chime::setting<monotonic_clock>::at(nth(start, i, timers), interval));
    armed.back()->async_wait(waiting{*armed.back(), accounts[static_cast<std::size_t>(i)]});
  }
  const double before = cpu_used();
  context.run_until(std::chrono::steady_clock::now() + (start + length - monotonic_clock::now()));
  return cost(cpu_used() - before, accounts);
}

}  // namespace

int main(int argc, char** argv) {
  const int timers = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const auto median = [](std::vector<double>& of) {
    std::ranges::sort(of);
    return of[of.size() / 2];
  };
  for (int comparison = 0; comparison < 3; ++comparison) {
    std::vector<double> hand, chime, ratio;
    for (int i = 0; i < rounds; ++i) {
      hand.push_back(by_hand(timers));
      chime.push_back(awaited(timers));
      ratio.push_back(chime.back() / hand.back());
    }
    const double x = median(ratio);
    std::printf("ratio posix_timer n=%d chime=%.0f ns sigwaitinfo=%.0f ns x=%.2f (bound 1.30)\n",
                timers, median(chime), median(hand), x);
    if (x <= 1.3 * bench::factor()) return EXIT_SUCCESS;
  }
  return EXIT_FAILURE;
}
