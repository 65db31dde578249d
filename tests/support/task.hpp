// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <boost/asio/cancellation_signal.hpp>

#include <coroutine>
#include <exception>
#include <utility>

namespace support {

/// A coroutine that takes anything awaitable and knows nothing of Asio's. It begins at once; its
/// frame is destroyed with this, wherever it stands.
class task {
 public:
  struct promise_type {
    task get_return_object() {
      return task{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { thrown = std::current_exception(); }

    std::exception_ptr thrown;
  };

  task(task&& other) noexcept : frame_{std::exchange(other.frame_, nullptr)} {}
  task& operator=(task&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~task() { destroy(); }

  [[nodiscard]] bool is_done() const { return frame_.done(); }

  /// Lets out what the coroutine threw.
  void get() const {
    if (frame_.promise().thrown) std::rethrow_exception(frame_.promise().thrown);
  }

  void destroy() {
    if (frame_) std::exchange(frame_, nullptr).destroy();
  }

 private:
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_{frame} {}

  std::coroutine_handle<promise_type> frame_;
};

/// The same, and whoever holds the signal, the coroutine's first argument, can cancel what it waits
/// for.
class cancellable_task : public task {
 public:
  struct promise_type : task::promise_type {
    template <class... Args>
    explicit promise_type(boost::asio::cancellation_signal& s, Args&&...) : slot{s.slot()} {}
    using cancellation_slot_type = boost::asio::cancellation_slot;
    [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }
    cancellable_task get_return_object() { return {task::promise_type::get_return_object()}; }

    boost::asio::cancellation_slot slot;
  };

 private:
  cancellable_task(task&& t) noexcept : task{std::move(t)} {}
};

}  // namespace support
