// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Every order in which a setting, takes, questions, the clock and the interrupt that notes an
// expiry can come upon one timer. In the engine each is one step under a lock, so these orders are
// all that can happen.
//
// What must hold in each: a setting drops the expirations of the old one and no others; what
// expires is reported by the take that races it or by the next, never twice, never not at all.

#include <chime/engine/posix_timer_model.hpp>
#include <chime/engine/timerfd_model.hpp>
#include <chime/rules.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "support/sanitizer.hpp"
#include "support/skipped.hpp"

using namespace std::chrono_literals;
using chime::clock_kind;
using chime::nanoseconds;
namespace engine = chime::engine;
namespace rules = chime::rules;

namespace {

/// Calls `run` with every interleaving of the threads' steps: which thread makes the next step.
void each_interleaving(std::vector<std::size_t> steps_left, std::vector<std::size_t>& order,
                       const std::function<void(const std::vector<std::size_t>&)>& run) {
  bool done = true;
  for (std::size_t thread = 0; thread < steps_left.size(); ++thread) {
    if (steps_left[thread] == 0) continue;
    done = false;
    --steps_left[thread];
    order.push_back(thread);
    each_interleaving(steps_left, order, run);
    order.pop_back();
    ++steps_left[thread];
  }
  if (done) run(order);
}

/// The two models by the same words.
struct timerfd {
  engine::timerfd_model model{clock_kind::monotonic};

  std::uint64_t take(nanoseconds now) { return model.read(now).count; }
};
struct posix_timer {
  engine::posix_timer_model model{clock_kind::monotonic};

  std::uint64_t take(nanoseconds now) {
    return model.pending() ? model.accept(now, model.sequence()).expirations : 0;
  }
};

/// One run, and what was reported of which setting.
template <class Timer>
class world {
 public:
  world() { set({10ns, 10ns}); }

  void set(engine::new_setting wanted) {
    settle();
    // What is dropped expired under the old setting and before this instant.
    timer_.model.settime(wanted, now_);
    first_ = now_ + wanted.value;
    interval_ = wanted.interval;
    armed_ = wanted.value > 0ns;
    reported_ = 0;
  }
  void take() {
    settle();
    reported_ += timer_.take(now_);
    CHECK(reported_ <= by_rule());
  }
  void ask() {
    settle();
    const auto left = timer_.model.gettime(now_);
    if (armed_ && interval_ > 0ns) {
      CHECK(left.value > 0ns);
      CHECK(left.value == rules::forward(first_, interval_, now_).deadline - now_);
    }
  }
  void time_passes(nanoseconds d) { now_ += d; }
  void interrupt() { timer_.model.expire(now_); }

  /// Nothing is missing once everybody is done.
  void finish() {
    take();
    CHECK(reported_ == by_rule());
    interrupt();
    take();
    CHECK(reported_ == by_rule());
  }

 private:
  // As every call on an engine-kept timer begins: whatever is due has expired before.
  void settle() {
    if (rules::is_due(timer_.model.next_deadline(), now_)) timer_.model.expire(now_);
  }
  std::uint64_t by_rule() const {
    return armed_ ? rules::expirations_by(first_, interval_, now_) : 0;
  }

  Timer timer_;
  nanoseconds now_{};
  nanoseconds first_{};
  nanoseconds interval_{};
  bool armed_ = false;
  std::uint64_t reported_ = 0;
};

template <class Timer>
void check_all(engine::new_setting next) {
  using step = std::function<void(world<Timer>&)>;
  const step tick = [](auto& w) { w.time_passes(7ns); };
  const step interrupt = [](auto& w) { w.interrupt(); };
  const step take = [](auto& w) { w.take(); };
  const step ask = [](auto& w) { w.ask(); };
  const step set = [&](auto& w) { w.set(next); };
  const std::vector<std::vector<step>> threads{
      {tick, tick, tick, tick}, {interrupt, interrupt}, {take, take}, {take, ask}, {set}};
  std::vector<std::size_t> lengths;
  for (const auto& t : threads) lengths.push_back(t.size());
  std::vector<std::size_t> order;
  int orders = 0;
  each_interleaving(lengths, order, [&](const std::vector<std::size_t>& which) {
    ++orders;
    world<Timer> w;
    std::vector<std::size_t> at(threads.size());
    for (const std::size_t thread : which) threads[thread][at[thread]++](w);
    w.finish();
  });
  CHECK(orders == 207'900);  // 11! / (4! 2! 2! 2! 1!)
}

}  // namespace

TEST_CASE_TEMPLATE("every interleaving of a setting, takes, the clock and the interrupt", Timer,
                   timerfd, posix_timer) {
  if (support::thread_sanitizer) {
    support::skipped("every interleaving: it is one thread, and takes ThreadSanitizer a minute");
    return;
  }
  SUBCASE("another period") { check_all<Timer>({8ns, 5ns}); }
  SUBCASE("a one-shot") { check_all<Timer>({8ns, 0ns}); }
  SUBCASE("disarmed") { check_all<Timer>({0ns, 0ns}); }
  SUBCASE("an interval of a nanosecond") { check_all<Timer>({1ns, 1ns}); }
}
