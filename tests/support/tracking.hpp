// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Witnesses of Asio's contracts: an executor that knows what ran on it and what work it owes, an allocator
/// that knows what it has given out, and a guard that knows whether an initiating function is running.

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/require.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace support {

/// What a tracking_executor has seen.
struct executor_log {
  std::atomic<int> posted = 0;     // functions that were to run
  std::atomic<int> ran = 0;        // functions that ran
  std::atomic<int> work = 0;       // outstanding work right now
  std::atomic<int> most_work = 0;  // the most there ever was at once

  [[nodiscard]] bool is_running() const noexcept { return current == this; }

  static inline thread_local const executor_log* current = nullptr;
};

/// An executor of an io_context that writes down what runs on it and the work that it is told to expect.
class tracking_executor {
  using outstanding_work = boost::asio::execution::outstanding_work_t;
  using blocking = boost::asio::execution::blocking_t;

 public:
  tracking_executor(boost::asio::io_context& context, executor_log& log) noexcept
      : context_{&context}, log_{&log} {}
  tracking_executor(const tracking_executor& other) noexcept
      : context_{other.context_}, log_{other.log_}, tracked_{other.tracked_} {
    begin_work();
  }
  /// Takes the work along: Asio's executor_work_guard does not destroy what it has moved from.
  tracking_executor(tracking_executor&& other) noexcept
      : context_{other.context_},
        log_{other.log_},
        tracked_{std::exchange(other.tracked_, false)} {}
  tracking_executor& operator=(tracking_executor other) noexcept {
    std::swap(context_, other.context_);
    std::swap(log_, other.log_);
    std::swap(tracked_, other.tracked_);
    return *this;
  }
  ~tracking_executor() {
    if (!tracked_) return;
    --log_->work;
    context_->get_executor().on_work_finished();
  }

  [[nodiscard]] boost::asio::execution_context& query(
      boost::asio::execution::context_t) const noexcept {
    return *context_;
  }
  [[nodiscard]] static constexpr blocking query(blocking) noexcept { return blocking::never; }
  [[nodiscard]] outstanding_work query(outstanding_work) const noexcept {
    if (tracked_) return outstanding_work::tracked;
    return outstanding_work::untracked;
  }
  [[nodiscard]] tracking_executor require(blocking::never_t) const { return *this; }
  [[nodiscard]] tracking_executor require(outstanding_work::tracked_t) const {
    return {*context_, *log_, true};
  }
  [[nodiscard]] tracking_executor require(outstanding_work::untracked_t) const {
    return {*context_, *log_, false};
  }

  template <class Function>
  void execute(Function&& function) const {
    ++log_->posted;
    const auto executor =
        boost::asio::require(context_->get_executor(), boost::asio::execution::blocking.never);
    executor.execute([log = log_, f = std::forward<Function>(function)]() mutable {
      const auto* const outer = std::exchange(executor_log::current, log);
      ++log->ran;
      std::move(f)();
      executor_log::current = outer;
    });
  }

  friend bool operator==(const tracking_executor& a, const tracking_executor& b) noexcept {
    return a.context_ == b.context_ && a.log_ == b.log_ && a.tracked_ == b.tracked_;
  }
  friend bool operator!=(const tracking_executor& a, const tracking_executor& b) noexcept {
    return !(a == b);
  }

 private:
  tracking_executor(boost::asio::io_context& context, executor_log& log, bool tracked) noexcept
      : context_{&context}, log_{&log}, tracked_{tracked} {
    begin_work();
  }

  void begin_work() noexcept {
    if (!tracked_) return;
    context_->get_executor().on_work_started();
    const int now = ++log_->work;
    int most = log_->most_work;
    while (now > most && !log_->most_work.compare_exchange_weak(most, now)) {
    }
  }

  boost::asio::io_context* context_;
  executor_log* log_;
  bool tracked_ = false;
};

/// What a tracking_allocator has given out.
struct memory_log {
  std::atomic<int> allocations = 0;
  std::atomic<int> outstanding = 0;
};

template <class T>
class tracking_allocator {
 public:
  using value_type = T;

  explicit tracking_allocator(memory_log& log) noexcept : log_{&log} {}
  template <class U>
  tracking_allocator(const tracking_allocator<U>& other) noexcept : log_{&other.log()} {}

  [[nodiscard]] T* allocate(std::size_t n) {
    void* const memory = std::malloc(n * sizeof(T));  // not operator new: that one is watched, too
    if (!memory) throw std::bad_alloc{};
    ++log_->allocations;
    ++log_->outstanding;
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) noexcept {
    --log_->outstanding;
    std::free(memory);
  }

  [[nodiscard]] memory_log& log() const noexcept { return *log_; }

  friend bool operator==(const tracking_allocator& a, const tracking_allocator& b) noexcept {
    return a.log_ == b.log_;
  }
  friend bool operator!=(const tracking_allocator& a, const tracking_allocator& b) noexcept {
    return a.log_ != b.log_;
  }

 private:
  memory_log* log_;
};

/// Stands around a call of an initiating function: a handler that runs on the same thread meanwhile was
/// called inline.
class initiation_guard {
 public:
  initiation_guard() noexcept { ++depth; }
  initiation_guard(const initiation_guard&) = delete;
  initiation_guard& operator=(const initiation_guard&) = delete;
  ~initiation_guard() { --depth; }

  [[nodiscard]] static bool is_initiating() noexcept { return depth > 0; }

 private:
  static inline thread_local int depth = 0;
};

}  // namespace support
