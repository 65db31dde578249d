// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// A wait as an awaiter of the language, without Asio's machinery for coroutines. See
/// basic_timer::next().

#include <chime/detail/cancel_wait.hpp>
#include <chime/detail/queued_wait.hpp>
#include <chime/detail/timer_state.hpp>
#include <chime/detail/wait_operation.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/recycling_allocator.hpp>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace chime::detail {

/// What of a suspended coroutine its wait knows.
template <class Facility>
struct suspended : enlisted_wait {
  std::coroutine_handle<> coroutine;
  error_code ec;
  expiry<typename Facility::clock_type> taken;
};

/// The handler of such a wait where the facility has none that can live in the coroutine's frame.
/// By its ticket it finds the coroutine, unless that is gone.
template <class Facility>
struct resume_by_ticket {
  using allocator_type = boost::asio::recycling_allocator<void>;  // a place in line, too
  [[nodiscard]] allocator_type get_allocator() const noexcept { return {}; }

  void operator()(error_code ec, const expiry<typename Facility::clock_type>& taken) {
    std::unique_lock lock{state->mutex};
    auto* const wait = static_cast<suspended<Facility>*>(state->find(number));
    lock.unlock();
    if (!wait) return;
    wait->ec = ec;
    wait->taken = taken;
    wait->coroutine.resume();
  }

  std::shared_ptr<timer_state<Facility>> state;
  ticket number;
};

struct no_embedded_wait {
  explicit no_embedded_wait(std::nullptr_t) noexcept {}
};

/// A facility whose waits can live in the coroutine's frame.
template <class Facility>
concept embeds_waits = requires { typename Facility::embedded_wait; };

template <class Facility>
struct embedded_wait_of {
  using type = no_embedded_wait;
};
template <embeds_waits Facility>
struct embedded_wait_of<Facility> {
  using type = typename Facility::embedded_wait;
};

/// One wait of a coroutine. It lives in the coroutine's frame, and ends with that if nobody resumes
/// it before.
template <class Facility, class Executor>
class native_wait : suspended<Facility>, embedded_wait_of<Facility>::type {
  using state_type = timer_state<Facility>;
  using embedded_wait = typename embedded_wait_of<Facility>::type;
  using handler = resume_by_ticket<Facility>;

 public:
  /// \param state null: closed
  /// \param executor the timer's, which is there until the wait has begun
  /// \param out where the error goes; null: it is thrown
  native_wait(state_type* state, const Executor* executor, error_code* out) noexcept
      : embedded_wait{arrival()}, state_{state}, executor_{executor}, out_{out} {}
  native_wait(const native_wait&) = delete;
  native_wait& operator=(const native_wait&) = delete;

  /// The coroutine is destroyed, or goes on: nobody calls it any more.
  ~native_wait() {
    if constexpr (embeds_waits<Facility>) {
      if (turn_) [[unlikely]]
        this->withdraw();
    }
    if (line_) leave_line();
  }

  [[nodiscard]] bool await_ready() noexcept {
    if (!state_) this->ec = boost::asio::error::bad_descriptor;
    return !state_;
  }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> caller) {
    this->coroutine = caller;
    this->number = state_->draw_ticket();
    if constexpr (!std::is_void_v<Promise>) {
      auto slot = boost::asio::get_associated_cancellation_slot(caller.promise());
      if (slot.is_connected())
        slot.template emplace<cancel_wait<Facility>>(state_->weak_from_this(), this->number);
    }
    if constexpr (embeds_waits<Facility>) {
      if (state_->facility.may_resume() && state_->claim_turn(this->number)) {
        turn_.emplace(*state_);
        return begin();
      }
    }
    enter_line();
  }

  auto await_resume() {
    if (out_)
      *out_ = this->ec;
    else if (this->ec)
      throw system_error{this->ec, "chime timer"};
    return this->taken;
  }

 private:
  static constexpr auto arrival() noexcept {
    if constexpr (embeds_waits<Facility>)
      return
          [](embedded_wait& wait, error_code why) { static_cast<native_wait&>(wait).arrive(why); };
    else
      return nullptr;
  }

  // From here on, once the wait has begun, other threads may resume the coroutine and end it.

  void begin() {
    try {
      state_->facility.begin(*this);
    } catch (...) {
      turn_.reset();
      throw;
    }
  }

  /// The facility is ready, or the wait was cancelled.
  void arrive(error_code why) {
    std::unique_lock lock{state_->mutex};
    this->taken = state_->take(why);
    if (!why && this->taken.expirations == 0) [[unlikely]] {
      lock.unlock();
      why = begin_again();
      if (!why) return;
      lock.lock();
    }
    this->ec = why;
    turn_->pass(lock);
    turn_.reset();
    this->coroutine.resume();
  }

  /// Somebody else took the expirations, or the timer has been set anew since: waits on.
  [[gnu::noinline, gnu::cold]] error_code begin_again() {
    const std::lock_guard beginning{state_->beginning};
    {
      const std::lock_guard lock{state_->mutex};
      if (state_->is_cancelled()) return boost::asio::error::operation_aborted;
    }
    try {
      state_->facility.begin(*this);
    } catch (const system_error& e) {
      return e.code();
    } catch (const std::bad_alloc&) {
      return boost::asio::error::no_memory;
    }
    return {};
  }

  /// Waits as async_wait() does, by a handler that outlives the coroutine.
  void enter_line() {
    const auto state = state_->shared_from_this();
    const ticket mine = this->number;
    line_ = state;
    {
      const std::lock_guard lock{state->mutex};
      state->enlist(*this);
    }
    handler resume{state, mine};
    if (!state->claim_turn(mine)) {
      const std::lock_guard lock{state->mutex};
      if (!state->claim_turn(mine)) {
        state->stand_in_line(*queued_wait<Facility, handler>::make(
            mine, *executor_, &state->facility, std::move(resume)));
        return;
      }
    }
    state->facility.async_ready(
        wait_operation<Facility, handler>{turn<Facility>{*state}, std::move(resume)});
  }

  void leave_line() noexcept {
    {
      const std::lock_guard lock{line_->mutex};
      if (!line_->find(this->number)) return;
    }
    line_->cancel(this->number);
  }

  state_type* state_;
  const Executor* executor_;
  error_code* out_;
  std::optional<turn<Facility>> turn_;  // while it waits in the frame
  std::shared_ptr<state_type> line_;    // once it waits by a handler
};

/// What `co_await` makes a native_wait of. Use it at once: it refers to the timer.
template <class Facility, class Executor>
struct [[nodiscard]] native_awaitable {
  timer_state<Facility>* state;
  const Executor* executor;
  error_code* ec;

  native_wait<Facility, Executor> operator co_await() const noexcept {
    return {state, executor, ec};
  }
};

}  // namespace chime::detail
