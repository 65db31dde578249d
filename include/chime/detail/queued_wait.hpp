// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/timer_state.hpp>
#include <chime/detail/wait_operation.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <memory>
#include <mutex>
#include <utility>

namespace chime::detail {

/// Something to hold on to while an executor's context must not run out of work.
template <class Executor>
[[nodiscard]] auto keep_running(const Executor& executor) {
  if constexpr (boost::asio::execution::is_executor<Executor>::value) {
    return boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked);
  } else {
    // One of the Networking TS, such as io_context::strand.
    return boost::asio::make_work_guard(executor);
  }
}

/// A wait that is not at the facility: it stands in line until its turn comes, and then becomes a
/// wait_operation, or it fails. Either way it goes on by a post. Lives in memory of its handler's
/// allocator.
template <class Facility, class Handler>
class queued_wait final : public waiter<Facility> {
  using any_executor = boost::asio::any_io_executor;
  using executor_type = boost::asio::associated_executor_t<Handler, any_executor>;
  using allocator_type = typename std::allocator_traits<
      boost::asio::associated_allocator_t<Handler>>::template rebind_alloc<queued_wait>;

  struct destroy {
    void operator()(queued_wait* wait) const noexcept {
      allocator_type allocator{boost::asio::get_associated_allocator(wait->handler_)};
      wait->~queued_wait();
      allocator.deallocate(wait, 1);
    }
  };
  using owner = std::unique_ptr<queued_wait, destroy>;

 public:
  /// A wait that goes on by begin() or fail(), and is gone then.
  [[nodiscard]] static queued_wait* make(ticket drawn, const any_executor& io_executor,
                                         Handler&& handler) {
    allocator_type allocator{boost::asio::get_associated_allocator(handler)};
    queued_wait* const place = allocator.allocate(1);
    try {
      return new (place) queued_wait{drawn, io_executor, std::move(handler)};
    } catch (...) {
      allocator.deallocate(place, 1);
      throw;
    }
  }

  void begin(turn<Facility> mine) override { go_on(std::move(mine), {}); }
  void fail(error_code ec) override { go_on({}, ec); }

 private:
  queued_wait(ticket drawn, const any_executor& io_executor, Handler&& handler)
      : handler_{std::move(handler)},
        io_work_{keep_running(io_executor)},
        work_{keep_running(boost::asio::get_associated_executor(handler_, io_executor))} {
    this->number = drawn;
  }

  /// What runs on the handler's executor: posted to the timer's and dispatched from there, as
  /// whatever Asio completes at once. (Posting to the handler's may start threads:
  /// system_executor.)
  struct step {
    using executor_type = queued_wait::executor_type;
    [[nodiscard]] executor_type get_executor() const noexcept {
      return boost::asio::get_associated_executor(self->handler_, self->io_work_);
    }
    using allocator_type = boost::asio::associated_allocator_t<Handler>;
    [[nodiscard]] allocator_type get_allocator() const noexcept {
      return boost::asio::get_associated_allocator(self->handler_);
    }

    void operator()() {
      const auto io_work = std::move(self->io_work_);
      const auto work = std::move(self->work_);
      Handler handler = std::move(self->handler_);
      self.reset();
      if (!ec && wait_operation<Facility, Handler>::begin(mine, handler)) return;
      if (!ec) ec = boost::asio::error::operation_aborted;
      mine.give_up();
      std::move(handler)(ec, expiry<typename Facility::clock_type>{});
    }

    owner self;
    turn<Facility> mine;
    error_code ec;
  };

  void go_on(turn<Facility>&& mine, error_code ec) {
    const auto io_executor = io_work_;
    boost::asio::post(io_executor, step{owner{this}, std::move(mine), ec});
  }

  Handler handler_;
  any_executor io_work_;
  decltype(keep_running(std::declval<const executor_type&>())) work_;
};

}  // namespace chime::detail
