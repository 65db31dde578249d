// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The timers of one base, in order, and how their tolerances let one wake-up serve many.

#include <chime/engine/base.hpp>
#include <chime/engine/wheel.hpp>
#include <chime/read_clock.hpp>
#include <chime/rules.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

namespace chime::engine {

class time_line;

/// What the scheduler keeps of a timer. Derive from it. It must not be filed when it is destroyed.
///
/// Few bytes, for of many timers none is in the processor's caches.
class scheduled : wheel_node {
 public:
  /// The line it belongs to. \pre it has been put on one, or filed
  [[nodiscard]] time_line& line() const noexcept { return *line_; }

  /// Has it belong to a line. \pre it is not filed
  void put_on(time_line& line) noexcept { line_ = &line; }

  /// Whether it stands in a line, to come due one day.
  [[nodiscard]] bool is_filed() const noexcept { return is_armed(); }

  /// Whether it stands there, as it was last filed; or nowhere, if that is never.
  [[nodiscard]] bool is_filed_at(const time_line& line, nanoseconds deadline) const noexcept {
    if (!is_filed()) return deadline == rules::never;
    return line_ == &line && this->deadline() == deadline;
  }

  /// How much later than its deadline it may be served.
  [[nodiscard]] nanoseconds tolerance() const noexcept {
    return leeway_ ? leeway_->tolerance : nanoseconds::zero();
  }

 private:
  friend class time_line;

  struct leeway {
    nanoseconds tolerance;
    wheel_node latest;  // by deadline + tolerance
  };

  time_line* line_ = nullptr;
  std::unique_ptr<leeway> leeway_;  // if it has a tolerance
};

/// Timers on one base.
///
/// A timer with deadline d and tolerance t may be served anywhere in [d, d + t]. So there are two
/// orders to keep: what is due follows from d, when to wake from d + t. Waking at the earliest
/// d + t and serving all that are due by then takes the fewest wake-ups there can be:
///
///     d1 |======| d1+t1
///           d2 |===========| d2+t2
///            d3 |=| d3+t3
///                 ^ wake: serves all three
///
/// Timers without a tolerance need one order only, and have a wheel of their own.
class time_line {
 public:
  time_line(base on, thread_clock thread) noexcept : on_{on}, thread_{thread} {}

  /// How many timers may be filed here one day. Counted for whoever keeps lines.
  unsigned users = 0;

  [[nodiscard]] base on() const noexcept { return on_; }
  [[nodiscard]] thread_clock thread() const noexcept { return thread_; }

  /// \pre nothing is filed here
  void set_thread(thread_clock thread) noexcept {
    thread_ = thread;
    latest_read_ = {};
  }

  /// The clock of a thread that has ended reads 0; time stands still there instead.
  [[nodiscard]] nanoseconds not_back(nanoseconds read) const noexcept {
    return latest_read_ = std::max(latest_read_, read);
  }

  /// Puts a timer in its place, behind those with an equal deadline. `rules::never`: takes it out.
  static void file(scheduled& timer, time_line& line, nanoseconds deadline) noexcept {
    if (timer.is_filed() && (timer.line_ != &line || deadline == rules::never)) remove(timer);
    if (deadline != rules::never) line.place(timer, deadline, line.next_sequence_++);
  }

  /// Changes a timer's tolerance. It keeps its place among equals. For want of memory it throws and
  /// changes nothing.
  static void set_tolerance(scheduled& timer, nanoseconds tolerance) {
    std::unique_ptr<scheduled::leeway> leeway;
    if (tolerance > nanoseconds::zero()) leeway.reset(new scheduled::leeway{tolerance, {}});
    const bool is_filed = timer.is_filed();
    remove(timer);
    timer.leeway_ = std::move(leeway);
    if (is_filed) timer.line_->place(timer, timer.deadline(), timer.sequence());
  }

  /// Takes a timer out, if it is in a line.
  static void remove(scheduled& timer) noexcept {
    if (!timer.is_filed()) return;
    time_line& line = *timer.line_;
    (timer.leeway_ ? line.tolerant_ : line.prompt_).disarm(timer);
    if (timer.leeway_) line.latest_.disarm(timer.leeway_->latest);
  }

  /// Takes out the first timer that is due, by deadline and among equals in the order filed (E6), whatever
  /// their tolerances; null if there is none.
  [[nodiscard]] scheduled* pop_due(nanoseconds now) noexcept {
    if (tolerant_.empty()) return static_cast<scheduled*>(prompt_.pop_due(now));
    wheel_node* const prompt = prompt_.first_due(now);
    wheel_node* const tolerant = tolerant_.first_due(now);
    (void)latest_.first_due(now);  // nothing is popped there: so that it knows the time
    const bool is_prompt =
        prompt != nullptr && (tolerant == nullptr || prompt->precedes(*tolerant));
    auto* const first = static_cast<scheduled*>(is_prompt ? prompt : tolerant);
    if (first != nullptr) remove(*first);
    return first;
  }

  [[nodiscard]] bool empty() const noexcept { return prompt_.empty() && tolerant_.empty(); }

  /// When to wake, on this base: no later than some timer needs. `rules::never` if there is none.
  [[nodiscard]] nanoseconds next_wakeup() noexcept {
    // Where there is a tolerance, to wake too soon would serve too few.
    return std::min(prompt_.next_wakeup(), latest_.next_wakeup_sought());
  }

 private:
  void place(scheduled& timer, nanoseconds deadline, std::uint64_t sequence) noexcept {
    timer.line_ = this;
    if (timer.leeway_) {
      tolerant_.arm(timer, deadline, sequence);
      latest_.arm(timer.leeway_->latest, rules::saturating_add(deadline, timer.leeway_->tolerance));
    } else {
      prompt_.arm(timer, deadline, sequence);
    }
  }

  base on_;
  thread_clock thread_;
  mutable nanoseconds latest_read_{};
  wheel prompt_;                     // timers without a tolerance, by deadline
  wheel tolerant_;                   // those with one, by deadline
  wheel latest_;                     // and the same by deadline + tolerance
  std::uint64_t next_sequence_ = 0;  // orders equal deadlines, of both kinds
};

}  // namespace chime::engine
