// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/timer_state.hpp>
#include <chime/error.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/error.hpp>

#include <memory>
#include <mutex>
#include <utility>

namespace chime::detail {

/// A wait that has the turn: the handler of the facility's readiness. It runs where the user's
/// handler runs, and calls it directly.
template <class Facility, class Handler>
class wait_operation {
 public:
  wait_operation(turn<Facility>&& mine, Handler&& handler)
      : handler_{std::move(handler)}, turn_{std::move(mine)} {}

  void operator()(error_code ec) {
    timer_state<Facility>& state = turn_.state();
    std::unique_lock lock{state.mutex};
    const auto taken = state.take(ec);
    if (!ec && taken.expirations == 0) {
      // Somebody else took them, or the timer has been set anew since: wait on.
      lock.unlock();
      if (begin(turn_, handler_)) return;
      lock.lock();
      ec = boost::asio::error::operation_aborted;
    }
    // First the turn, then the handler, which may do anything: wait again, destroy the timer,
    // throw.
    turn_.pass(lock);
    std::move(handler_)(ec, taken);
  }

  /// Waits for the facility, beside calls of other threads on the timer. False if the wait has been
  /// cancelled instead; then turn and handler are still the caller's.
  [[nodiscard, gnu::noinline]] static bool begin(turn<Facility>& mine, Handler& handler) {
    const auto state = mine.state().shared_from_this();
    std::unique_lock beginning{state->beginning};
    {
      const std::lock_guard lock{state->mutex};
      if (state->is_cancelled()) return false;
    }
    wait_operation again{std::move(mine), std::move(handler)};
    // To be unlocked before `again` is destroyed, whose handler may own the timer.
    const auto until_begun = std::move(beginning);
    state->facility.async_ready(std::move(again));
    return true;
  }

  [[nodiscard]] const Handler& handler() const noexcept { return handler_; }

 private:
  Handler handler_;
  turn<Facility> turn_;
};

}  // namespace chime::detail

// The wait runs, and has its memory, where the user's handler has. It does not take over the
// handler's cancellation slot: that one is told to cancel the wait at any stage, not only while it
// is at the facility.
template <class Facility, class Handler, class Executor>
struct boost::asio::associated_executor<chime::detail::wait_operation<Facility, Handler>,
                                        Executor> {
  using type = associated_executor_t<Handler, Executor>;
  static type get(const chime::detail::wait_operation<Facility, Handler>& wait,
                  const Executor& fallback = Executor()) noexcept {
    return associated_executor<Handler, Executor>::get(wait.handler(), fallback);
  }
};
template <class Facility, class Handler, class Allocator>
struct boost::asio::associated_allocator<chime::detail::wait_operation<Facility, Handler>,
                                         Allocator> {
  using type = associated_allocator_t<Handler, Allocator>;
  static type get(const chime::detail::wait_operation<Facility, Handler>& wait,
                  const Allocator& fallback = Allocator()) noexcept {
    return associated_allocator<Handler, Allocator>::get(wait.handler(), fallback);
  }
};
