// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/engine/scheduler.hpp>
#include <chime/engine/time_line.hpp>
#include <chime/user/operation.hpp>

#include <chrono>

namespace chime::user {

using std::chrono::nanoseconds;

/// An engine-kept timer as the service knows it. The service calls its functions, under its lock.
class hosted_timer : public engine::scheduled {
 public:
  hosted_timer(const hosted_timer&) = delete;
  hosted_timer& operator=(const hosted_timer&) = delete;

  /// The deadline is reached, by the time on its line. \return whether to wake whoever waits
  virtual bool expire(nanoseconds now) noexcept = 0;

  /// When to call `expire`, on its line; `rules::never` if there is nothing to wait for.
  [[nodiscard]] virtual nanoseconds next_deadline() const noexcept = 0;

  /// Whether a take would bring something.
  [[nodiscard]] virtual bool is_ready() const noexcept = 0;

  /// The realtime clock was set. \return whether to wake whoever waits
  virtual bool clock_was_set() noexcept { return false; }

  /// Whether it is to be told so.
  [[nodiscard]] virtual bool wants_clock() const noexcept { return false; }

  /// Whether it ends a suspend of the machine.
  [[nodiscard]] virtual bool wakes_machine() const noexcept { return false; }

  /// The process forked, and this is the child.
  virtual void forked() noexcept {}

  /// The service is shut down: it must not be called by other threads any more. Called without its
  /// lock.
  virtual void host_is_going() noexcept {}

 protected:
  hosted_timer() = default;
  virtual ~hosted_timer() = default;

 private:
  friend class service;

  operation* waiter_ = nullptr;
  hosted_timer* prev_ = nullptr;  // among all timers of the service
  hosted_timer* next_ = nullptr;
};

}  // namespace chime::user
