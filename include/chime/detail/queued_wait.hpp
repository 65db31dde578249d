// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/outstanding_work.hpp>
#include <chime/detail/timer_state.hpp>
#include <chime/detail/wait_operation.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>

#include <memory>
#include <mutex>
#include <utility>

namespace chime::detail {

/// How the executors of a wait that stands in line are told of it. The one that it stands behind
/// may be anywhere meanwhile, so none of them is covered; but in virtual time no wait is work.
template <class Facility>
[[nodiscard]] work_of work_in_line(const Facility* facility,
                                   const boost::asio::any_io_executor& executor) {
  covered who = covered::nobody;
  if constexpr (requires { facility->is_virtual(); })
    if (facility && facility->is_virtual()) who = covered::context;
  return {boost::asio::query(executor, boost::asio::execution::context), who};
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

 public:
  /// A wait that goes on by begin() or fail(), and is gone then. \param facility what it waits for;
  /// null: there is none, it will fail
  [[nodiscard]] static queued_wait* make(ticket drawn, const any_executor& io_executor,
                                         const Facility* facility, Handler&& handler) {
    allocator_type allocator{boost::asio::get_associated_allocator(handler)};
    queued_wait* const place = allocator.allocate(1);
    try {
      return new (place)
          queued_wait{drawn, io_executor, work_in_line(facility, io_executor), std::move(handler)};
    } catch (...) {
      allocator.deallocate(place, 1);
      throw;
    }
  }

  void begin(turn<Facility> mine) override { go_on(std::move(mine), {}); }
  void fail(error_code ec) override { go_on({}, ec); }

 private:
  queued_wait(ticket drawn, const any_executor& io_executor, const work_of& outstanding,
              Handler&& handler)
      : handler_{std::move(handler)},
        io_work_{outstanding.track(io_executor)},
        work_{outstanding.track(boost::asio::get_associated_executor(handler_, io_executor))} {
    this->number = drawn;
  }

  void destroy() noexcept {
    allocator_type allocator{boost::asio::get_associated_allocator(handler_)};
    this->~queued_wait();
    allocator.deallocate(this, 1);
  }

  /// What runs on the handler's executor: posted to the timer's and dispatched from there, as
  /// whatever Asio completes at once. (Posting to the handler's may start threads:
  /// system_executor.)
  struct step {
    step(queued_wait* wait, turn<Facility>&& its_turn, error_code error) noexcept
        : self{wait}, mine{std::move(its_turn)}, ec{error} {}
    step(step&& other) noexcept
        : self{std::exchange(other.self, nullptr)}, mine{std::move(other.mine)}, ec{other.ec} {}
    ~step() {
      if (!self) return;
      mine.give_up();  // before the handler, which may own the timer
      self->destroy();
    }

    using executor_type = queued_wait::executor_type;
    [[nodiscard]] executor_type get_executor() const noexcept {
      return boost::asio::get_associated_executor(self->handler_, self->io_work_);
    }
    using allocator_type = boost::asio::associated_allocator_t<Handler>;
    [[nodiscard]] allocator_type get_allocator() const noexcept {
      return boost::asio::get_associated_allocator(self->handler_);
    }

    void operator()() {
      [[maybe_unused]] const auto io_work = std::move(self->io_work_);
      [[maybe_unused]] const auto work = std::move(self->work_);
      Handler handler = std::move(self->handler_);
      std::exchange(self, nullptr)->destroy();
      if (!ec && wait_operation<Facility, Handler>::begin(mine, handler)) return;
      if (!ec) ec = boost::asio::error::operation_aborted;
      mine.give_up();
      std::move(handler)(ec, expiry<typename Facility::clock_type>{});
    }

    queued_wait* self;  // owned, until it is called
    turn<Facility> mine;
    error_code ec;
  };

  void go_on(turn<Facility>&& mine, error_code ec) {
    const auto io_executor = io_work_;
    boost::asio::post(io_executor, step{this, std::move(mine), ec});
  }

  Handler handler_;
  any_executor io_work_;
  decltype(std::declval<const work_of&>().track(std::declval<const executor_type&>())) work_;
};

}  // namespace chime::detail
