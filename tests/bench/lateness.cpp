// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// How late waits complete, kept by the kernel and by the engine: as many timers of each, in one
// context, at the same time. Compares the medians, over all rounds, of each keeper's quantiles: a
// stall of the machine falls on the one or the other at random, and a ratio taken round by round
// would be that of the stalls. Fails where anything is early, or where the engine's p99 is more than
// 1.2 times the kernel's in three comparisons one after another
// (times CHIME_FACTOR). Usage: lateness [timers of each] [rounds]

#include "factor.hpp"

#include <chime/basic_timer.hpp>
#include <chime/kernel/timerfd.hpp>
#include <chime/user/timerfd.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::nanoseconds;
using clock_type = chime::monotonic_clock;

namespace {

constexpr nanoseconds interval = 10ms;

template <class Facility>
asio::awaitable<void> beat(clock_type::time_point first, const bool& stop,
                           std::vector<nanoseconds>& late) {
  chime::basic_timer<Facility> t{co_await asio::this_coro::executor};
  t.set(chime::setting<clock_type>::at(first, interval));
  while (!stop) {
    const auto e = co_await t.async_wait();
    late.push_back(clock_type::now() - e.scheduled);
  }
}

nanoseconds quantile(std::vector<nanoseconds>& of, double q) {
  const auto at = of.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(of.size() - 1));
  std::nth_element(of.begin(), at, of.end());
  return *at;
}

double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of[of.size() / 2];
}

/// The quantiles of one keeper's waits, round by round, in microseconds.
struct keeper {
  std::vector<nanoseconds> late;  // of the running round
  std::vector<double> p50, p99;
  bool was_early = false;

  void end_round() {
    was_early = was_early || *std::ranges::min_element(late) < 0ns;
    p50.push_back(static_cast<double>(quantile(late, 0.5).count()) / 1e3);
    p99.push_back(static_cast<double>(quantile(late, 0.99).count()) / 1e3);
    late.clear();
  }
};

void run_round(int timers, keeper& kernel, keeper& engine) {
  asio::io_context context{1};
  bool stop = false;
  const auto first = clock_type::now() + 20ms;
  for (int i = 0; i < timers; ++i) {
    // Each at an instant of its own, the two kinds by turns.
    const auto at = first + interval * i / timers;
    asio::co_spawn(context, beat<chime::kernel::timerfd<clock_type>>(at, stop, kernel.late),
                   asio::detached);
    asio::co_spawn(
        context,
        beat<chime::user::timerfd<clock_type>>(at + interval / (2 * timers), stop, engine.late),
        asio::detached);
  }
  chime::basic_timer<chime::kernel::timerfd<clock_type>> end{context};
  end.expires_after(500ms);
  end.async_wait([&](auto, auto) { stop = true; });
  context.run();
  kernel.end_round();
  engine.end_round();
}

enum class verdict { within, beyond, early };

verdict compare(int timers, int rounds) {
  keeper kernel, engine;
  for (int i = 0; i < rounds; ++i) run_round(timers, kernel, engine);
  const double ratio = median(engine.p99) / median(kernel.p99);
  std::printf(
      "lateness of %d timers each, medians of %d rounds: kernel p50 %.1f us, p99 %.1f us; engine "
      "p50 %.1f us, p99 %.1f us; p50 %.2f x, p99 %.2f x (bound 1.20 x)\n",
      timers, rounds, median(kernel.p50), median(kernel.p99), median(engine.p50),
      median(engine.p99), median(engine.p50) / median(kernel.p50), ratio);
  if (kernel.was_early || engine.was_early) return verdict::early;
  return ratio <= 1.2 * bench::factor() ? verdict::within : verdict::beyond;
}

}  // namespace

int main(int argc, char** argv) {
  const int timers = argc > 1 ? std::atoi(argv[1]) : 50;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 15;
  verdict v = verdict::beyond;
  for (int i = 0; i < 3 && v == verdict::beyond; ++i) v = compare(timers, rounds);
  if (v == verdict::early) std::puts("lateness: a wait completed early");
  return v == verdict::within ? EXIT_SUCCESS : EXIT_FAILURE;
}
