// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/engine/base.hpp>
#include <chime/engine/cpu_look.hpp>
#include <chime/engine/time_line.hpp>
#include <chime/engine/time_source.hpp>
#include <chime/rules.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace chime::engine {

/// Joins the time lines with a time source: says what is due, and when to look again.
///
/// It does not wait, and nothing happens in it by itself: whoever drives it sleeps until
/// `next_look()` and then takes what is due.
///
///     for (scheduler.look(); scheduled* t = scheduler.pop_due();) ...expire t, file it again...
///     sleep until scheduler.next_look()
///
/// No lock: one call at a time.
class scheduler {
 public:
  /// \param threads how many threads of the program can run at once: CPU time passes so much
  ///        faster than time
  explicit scheduler(const time_source& time, unsigned threads = 1) noexcept
      : time_{&time}, threads_{threads} {}

  /// Goes by another time source from now on. \pre no timer is filed
  void use(const time_source& time) noexcept { time_ = &time; }

  /// The line of a base, of a thread where the base is thread_cpu. Lasts while it has users; a
  /// thread's goes to another thread when it has none.
  [[nodiscard]] time_line& line(base on, thread_clock thread = {}) {
    if (on != base::thread_cpu) thread = {};
    set_idle_apart();
    for (const auto& known : in_use()) {
      time_line& line = known->timers;
      if (line.on() == on && line.thread() == thread) return line;
    }
    if (on != base::thread_cpu || in_use_ == lines_.size()) {
      due_.reserve(lines_.size() + 1);
      lines_.emplace_back(std::make_unique<watched_line>(on, thread));
      std::swap(lines_[in_use_], lines_.back());
    }
    watched_line& l = *lines_[in_use_++];
    if (on == base::thread_cpu) l.timers.set_thread(thread);
    l.cpu = {};
    l.now = now(l.timers);
    (void)l.timers.pop_due(l.now);  // it is empty: so that it knows the time
    return l.timers;
  }

  [[nodiscard]] nanoseconds now(base on, thread_clock thread = {}) const noexcept {
    return time_->now(on, thread);
  }
  [[nodiscard]] nanoseconds now(const time_line& line) const noexcept {
    const nanoseconds read = now(line.on(), line.thread());
    return line.on() == base::thread_cpu ? line.not_back(read) : read;
  }

  /// Reads all clocks that are needed: `pop_due` goes by these readings.
  void look() noexcept {
    set_idle_apart();
    due_.clear();
    for (const auto& l : in_use()) {
      if (l->timers.empty()) continue;
      l->now = now(l->timers);
      if (is_cpu(l->timers.on())) l->cpu.looked(l->now, now(base::monotonic));
      due_.push_back(l.get());
    }
  }

  // (Nothing is set in one that is only declared: there are arrays of it.)
  struct expired {
    scheduled* timer;  ///< taken out of its line; null: nothing is due any more
    nanoseconds now;   ///< the time on its base
  };

  /// The next timer that was due at the last look: on each base in the order of the deadlines, and
  /// one base after the other, so that none starves.
  [[nodiscard]] expired pop_due() noexcept {
    while (!due_.empty()) {
      if (turn_ >= due_.size()) turn_ = 0;
      watched_line& l = *due_[turn_];
      if (scheduled* const timer = l.timers.pop_due(l.now)) {
        ++turn_;
        return {timer, l.now};
      }
      due_[turn_] = due_.back();
      due_.pop_back();
    }
    return {};
  }

  /// When to look again, on the monotonic base; `rules::never` if there is nothing to look for.
  [[nodiscard]] nanoseconds next_look() noexcept {
    nanoseconds first = rules::never;
    for (const auto& l : in_use()) {
      const nanoseconds due = l->timers.next_wakeup();
      if (due != rules::never) first = std::min(first, on_monotonic(*l, due));
    }
    return first;
  }

  /// The same for one timer alone: no later than its deadline plus tolerance.
  [[nodiscard]] nanoseconds look_for(const scheduled& timer, const time_line& line,
                                     nanoseconds deadline) const noexcept {
    const nanoseconds due = rules::saturating_add(deadline, timer.tolerance());
    if (line.on() == base::monotonic) return due;
    for (const auto& l : in_use())
      if (&l->timers == &line) return on_monotonic(*l, due);
    return due;
  }

  /// How far the next wake-up is on those bases for which `counts(base)`; `rules::never` if there
  /// is none.
  template <typename Predicate>
  [[nodiscard]] nanoseconds left(Predicate counts) noexcept {
    nanoseconds least = rules::never;
    for (const auto& l : in_use()) {
      if (!counts(l->timers.on())) continue;
      const nanoseconds due = l->timers.next_wakeup();
      if (due != rules::never) least = std::min(least, rules::remaining(due, now(l->timers)));
    }
    return least;
  }

 private:
  struct watched_line {
    watched_line(base on, thread_clock thread) noexcept : timers{on, thread} {}

    time_line timers;
    nanoseconds now{};  // at the last look
    cpu_look cpu;
  };

  // The time on the base is read first: what passes between the two readings makes the look late by
  // as much, never early and in vain.
  [[nodiscard]] nanoseconds on_monotonic(const watched_line& l, nanoseconds due) const noexcept {
    const base on = l.timers.on();
    if (on == base::monotonic) return due;
    nanoseconds left = rules::remaining(due, now(l.timers));
    if (is_cpu(on)) left = l.cpu.nap(left, on == base::thread_cpu ? 1 : threads_);
    return rules::saturating_add(now(base::monotonic), left);
  }

  [[nodiscard]] std::span<const std::unique_ptr<watched_line>> in_use() const noexcept {
    return std::span{lines_}.first(in_use_);
  }

  /// Lines of threads that nobody uses any more: behind the others, where nobody looks.
  void set_idle_apart() noexcept {
    for (std::size_t i = in_use_; i-- != 0;) {
      const time_line& line = lines_[i]->timers;
      if (line.on() != base::thread_cpu || line.users != 0) continue;
      assert(line.empty());
      std::swap(lines_[i], lines_[--in_use_]);
    }
  }

  const time_source* time_;
  unsigned threads_;
  std::vector<std::unique_ptr<watched_line>> lines_;
  std::size_t in_use_ = 0;          // of them, and the first ones
  std::vector<watched_line*> due_;  // from which something may be taken yet since the last look
  std::size_t turn_ = 0;            // among them
};

}  // namespace chime::engine
