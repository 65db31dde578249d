// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// A timer queue too simple to be wrong, and a run that drives it and the wheel side by side. The
/// bytes that steer the run come from a seeded generator (the tests) or from libFuzzer
/// (tests/fuzz/wheel.cpp).

#include <chime/engine/wheel.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <tuple>

#include "wheel_check.hpp"

namespace chime::tests {

using rules::nanoseconds;

/// The oracle: armed timers as a sorted set of (deadline, sequence, timer).
class wheel_oracle {
 public:
  void arm(std::size_t timer, nanoseconds deadline) {
    disarm(timer);
    set_.emplace(deadline, next_++, timer);
  }
  bool disarm(std::size_t timer) {
    return std::erase_if(set_, [&](const entry& e) { return std::get<2>(e) == timer; }) != 0;
  }
  /// The timer that is due first, or `none`.
  std::size_t pop_due(nanoseconds now) {
    if (set_.empty()) return none;
    const auto [deadline, sequence, timer] = *set_.begin();
    if (!rules::is_due(deadline, now)) return none;
    set_.erase(set_.begin());
    return timer;
  }
  [[nodiscard]] nanoseconds next_deadline() const {
    return set_.empty() ? rules::never : std::get<0>(*set_.begin());
  }
  [[nodiscard]] std::size_t size() const { return set_.size(); }

  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

 private:
  using entry = std::tuple<nanoseconds, std::uint64_t, std::size_t>;
  std::set<entry> set_;
  std::uint64_t next_ = 0;
};

/// What a run did, so that a test can see that it was no empty run.
struct wheel_run_result {
  std::string fault;  ///< empty if the wheel did what the oracle did
  std::size_t steps = 0;
  std::size_t popped = 0;
  std::size_t steps_back = 0;
};

/// One run of wheel and oracle side by side.
class wheel_run {
 public:
  explicit wheel_run(std::span<const std::uint8_t> bytes)
      : bytes_{bytes}, wheel_{pick_lanes_from(), pick_big_slot()} {}

  wheel_run_result operator()() {
    now_ = pick_start();
    while (!bytes_.empty() && result_.fault.empty()) {
      step();
      ++result_.steps;
    }
    if (result_.fault.empty()) drain(nanoseconds::max());
    return result_;
  }

 private:
  static constexpr std::size_t timers = 64;

  struct timer : engine::wheel_node {};

  std::uint64_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t b = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return b;
  }

  /// Whether, and when, the wheel gets lanes.
  std::size_t pick_lanes_from() {
    switch (byte() % 4) {
      case 0: return 0;
      case 1: return timers / 4;
      default: return engine::wheel::default_lanes_from;
    }
  }

  /// From how many timers on a slot is emptied before its time.
  std::uint32_t pick_big_slot() { return static_cast<std::uint32_t>(1 + byte() % 8); }

  nanoseconds pick_start() {
    switch (byte() % 4) {
      case 0: return nanoseconds{0};
      case 1: return nanoseconds{1'700'000'000'123'456'789};
      case 2: return nanoseconds::max() - nanoseconds{1'000'000};
      default: return nanoseconds{(std::int64_t{1} << 42) - 50};  // just below a border of levels
    }
  }

  /// A span of any magnitude, small ones and borders of levels being the likelier.
  nanoseconds pick_span() {
    const std::uint64_t b = byte();
    const std::uint64_t magnitude = b % 8 == 7 ? byte() % 63 : b % 8 * 3;
    const std::uint64_t value = (std::uint64_t{1} << magnitude) + (byte() << (magnitude / 2)) - 1;
    return nanoseconds{static_cast<std::int64_t>(value >> 1)};
  }

  /// A deadline near now, in the past, equal to another's, aligned, at the end of time ...
  nanoseconds pick_deadline() {
    switch (byte() % 16) {
      case 0: return now_;
      case 1: return rules::never;
      case 2: return rules::never - nanoseconds{static_cast<std::int64_t>(byte() % 3)};
      case 3: return nanoseconds{0};
      case 4:
      case 5: return rules::saturating_add(now_, -pick_span());
      case 6:
      case 7: return timers_[byte() % timers].deadline();
      case 8: return rules::saturating_add(timers_[byte() % timers].deadline(), pick_span());
      case 9: {
        const auto bits = byte() % 40;
        const nanoseconds later = rules::saturating_add(now_, pick_span());
        return nanoseconds{later.count() >> bits << bits};
      }
      default: return rules::saturating_add(now_, pick_span());
    }
  }

  void step() {
    const std::uint64_t op = byte() % 16;
    if (op < 7) {
      arm(byte() % timers);
    } else if (op < 9) {
      const std::size_t i = byte() % timers;
      expect(wheel_.disarm(timers_[i]) == oracle_.disarm(i), "disarm");
    } else if (op < 10) {
      pop();
    } else if (op < 12) {
      now_ = rules::saturating_add(now_, pick_span());
      drain(now_);
    } else if (op < 13) {
      now_ = oracle_.next_deadline();  // sleep to the next deadline, exactly
      if (now_ != rules::never && now_ > nanoseconds::min()) {
        expect(wheel_.pop_due(now_ - nanoseconds{1}) == nullptr, "never early");
      }
      drain(now_);
    } else if (op < 14) {
      now_ = rules::saturating_add(now_, -pick_span());  // the clock was set back
      ++result_.steps_back;
      pop();
    } else if (op < 15) {
      now_ = rules::saturating_add(now_, pick_span());  // it runs on, and nobody looks
    } else {
      const nanoseconds exact = wheel_.next_deadline();
      expect(exact == oracle_.next_deadline(), "next_deadline");
      expect(wheel_.next_wakeup() == exact,
             "next_wakeup is exact once next_deadline has been asked");
    }
    expect(wheel_.size() == oracle_.size(), "size");
    expect(wheel_.next_wakeup() <= oracle_.next_deadline(), "next_wakeup");
    if (result_.fault.empty()) result_.fault = engine::wheel_check::fault(wheel_);
  }

  void arm(std::size_t i) {
    const nanoseconds deadline = pick_deadline();
    wheel_.arm(timers_[i], deadline);
    oracle_.arm(i, deadline);
    expect(timers_[i].is_armed() && timers_[i].deadline() == deadline, "a node knows its deadline");
  }

  /// Pops one and, now and then, re-arms it or another before the next pop.
  bool pop() {
    const std::size_t i = oracle_.pop_due(now_);
    const auto* popped = static_cast<timer*>(wheel_.pop_due(now_));
    if (i == wheel_oracle::none) {
      expect(popped == nullptr, "pop: nothing is due");
      return false;
    }
    expect(popped == &timers_[i], "pop: this timer comes first");
    expect(!timers_[i].is_armed(), "a popped timer is disarmed");
    ++result_.popped;
    return true;
  }

  void drain(nanoseconds now) {
    now_ = now;
    while (result_.fault.empty() && pop()) {
      if (bytes_.empty()) continue;
      switch (byte() % 8) {
        case 0: arm(byte() % timers); break;
        case 1: {
          const std::size_t i = byte() % timers;
          expect(wheel_.disarm(timers_[i]) == oracle_.disarm(i), "disarm between pops");
          break;
        }
        default: break;
      }
    }
  }

  void expect(bool holds, const char* what) {
    if (!holds && result_.fault.empty()) {
      result_.fault = std::string{what} + ", at step " + std::to_string(result_.steps) + ", now " +
                      std::to_string(now_.count());
    }
  }

  std::span<const std::uint8_t> bytes_;
  nanoseconds now_{};
  wheel_run_result result_;
  std::array<timer, timers> timers_;  // outlive the wheel, which disarms them
  engine::wheel wheel_;
  wheel_oracle oracle_;
};

inline wheel_run_result run_wheel(std::span<const std::uint8_t> bytes) {
  return wheel_run{bytes}();
}

}  // namespace chime::tests
