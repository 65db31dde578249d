// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// A wait at an engine-kept timer, from the moment it is begun until its handler runs.

#include <chime/detail/outstanding_work.hpp>
#include <chime/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/recycling_allocator.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace chime::user {

class hosted_timer;
class service;

/// A wait, without the type of its handler.
class operation {
 public:
  /// Runs the handler where it wants to run: at once, if that is here. \pre called by a thread that
  /// runs the context. The operation is gone then.
  void complete() { go_(this, step::complete); }

  /// Has `arrived(*this)` called by a thread that runs the context. It goes there by way of the
  /// timer's executor. False if that fails, for want of memory say.
  [[nodiscard]] bool try_post() noexcept {
    try {
      go_(this, step::post);
      return true;
    } catch (...) {
      return false;
    }
  }

  /// Drops it together with its handler.
  void destroy() noexcept { go_(this, step::destroy); }

 protected:
  enum class step { complete, post, destroy };
  using function = void (*)(operation*, step);

  operation(function go, service* host, bool is_in_context) noexcept
      : go_{go}, service_{host}, is_in_context_{is_in_context} {}
  ~operation() = default;

  static void arrived(operation& op);  // in service.hpp
  [[nodiscard]] error_code error() const noexcept {
    return is_aborted_ ? error_code{boost::asio::error::operation_aborted} : error_code{};
  }

 private:
  friend class service;
  friend class operation_list;
  friend class resumption;

  // Few bytes: where there are many, to fetch them is most of what a wait costs.
  function go_;
  service* service_;
  hosted_timer* timer_ = nullptr;  // that has not become ready
  operation* prev_ = nullptr;
  operation* next_ = nullptr;
  bool is_resumption_ = false;
  bool is_in_context_;  // calls its handler directly: what that throws reaches whoever serves
  bool is_aborted_ = false;
  bool is_counted_ = false;  // among the service's waits, though it is over
};

/// A wait whose memory is another's, a coroutine's frame, and may be given up at any time: it is
/// never posted, only ever completed by the thread that serves.
class resumption : public operation {
 public:
  /// Begun, and neither over nor withdrawn.
  [[nodiscard]] bool is_outstanding() const noexcept { return service_ != nullptr; }

  /// Forgets the wait. It takes nothing and calls nobody. Not beside the thread that completes it.
  void withdraw() noexcept;  // in service.hpp

 protected:
  using arrival = void (*)(resumption&, error_code);

  /// \param arrive called once for each time that it was begun, unless it is withdrawn
  explicit resumption(arrival arrive) noexcept : operation{&go, nullptr, true}, arrive_{arrive} {
    is_resumption_ = true;
  }
  ~resumption() = default;

 private:
  static void go(operation* base, step what) {
    auto* const self = static_cast<resumption*>(base);
    self->service_ = nullptr;
    if (what == step::complete) self->arrive_(*self, self->error());
  }

  arrival arrive_;
};

struct destroy_operation {
  void operator()(operation* op) const noexcept { op->destroy(); }
};

/// Operations in the order in which they came.
class operation_list {
 public:
  operation_list() noexcept = default;
  operation_list(const operation_list&) = delete;
  operation_list& operator=(const operation_list&) = delete;
  void swap(operation_list& other) noexcept {
    std::swap(first_, other.first_);
    std::swap(last_, other.last_);
  }

  /// Drops what nobody completed.
  ~operation_list() {
    while (operation* const op = pop_front()) op->destroy();
  }

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

  void push_back(operation& op) noexcept {
    op.prev_ = last_;
    (last_ ? last_->next_ : first_) = &op;
    last_ = &op;
  }

  void remove(operation& op) noexcept {
    (op.prev_ ? op.prev_->next_ : first_) = op.next_;
    (op.next_ ? op.next_->prev_ : last_) = op.prev_;
    op.prev_ = op.next_ = nullptr;
  }

  /// Drops those alone whose memory is another's.
  void drop_resumptions() noexcept {
    for (operation *op = first_, *next; op; op = next) {
      next = op->next_;
      if (!op->is_resumption_) continue;
      remove(*op);
      op->destroy();
    }
  }

  [[nodiscard]] operation* pop_front() noexcept {
    operation* const op = first_;
    if (op) remove(*op);
    return op;
  }

 private:
  operation* first_ = nullptr;
  operation* last_ = nullptr;
};

/// A handler called with the outcome of its wait, in memory of its allocator.
template <class Handler>
struct completion {
  using recycling = boost::asio::recycling_allocator<void>;  // as Asio's operations, if it has none
  using allocator_type = boost::asio::associated_allocator_t<Handler, recycling>;

  static allocator_type allocator_of(const Handler& handler) noexcept {
    return boost::asio::get_associated_allocator(handler, recycling{});
  }
  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_of(handler); }

  void operator()() { std::move(handler)(ec); }

  Handler handler;
  error_code ec;
};

/// Where a handler runs that need not be asked for it: the context's own executor runs things on any
/// of its threads, and whoever completes a wait is one.
struct in_context {
  static constexpr bool is_here = true;

  boost::asio::io_context::executor_type io_executor;
};

/// Where it runs otherwise, told that work is outstanding: a strand, another context.
template <class Handler>
struct elsewhere {
  static constexpr bool is_here = false;
  using any_executor = boost::asio::any_io_executor;
  using executor_type = boost::asio::associated_executor_t<Handler, any_executor>;

  elsewhere(const any_executor& io, const detail::work_of& outstanding, const Handler& handler)
      : io_executor{outstanding.track(io)},
        work{outstanding.track(boost::asio::get_associated_executor(handler, io))} {}

  any_executor io_executor;
  decltype(std::declval<const detail::work_of&>().track(std::declval<const executor_type&>())) work;
};

/// A wait with its handler, in memory of the handler's allocator. Most are in_context, and small.
template <class Handler, class Place>
class handler_operation final : public operation {
  using handler_allocator = typename completion<Handler>::allocator_type;
  using allocator_type =
      typename std::allocator_traits<handler_allocator>::template rebind_alloc<handler_operation>;

 public:
  template <class... PlaceArguments>
  [[nodiscard]] static handler_operation* make(service& host, Handler&& handler,
                                               const PlaceArguments&... where) {
    allocator_type allocator{completion<Handler>::allocator_of(handler)};
    handler_operation* const place = allocator.allocate(1);
    try {
      return new (place) handler_operation{host, Place{where...}, std::move(handler)};
    } catch (...) {
      allocator.deallocate(place, 1);
      throw;
    }
  }

 private:
  handler_operation(service& host, Place&& where, Handler&& handler)
      : operation{&go, &host, Place::is_here},
        handler_{std::move(handler)},
        where_{std::move(where)} {}

  static void go(operation* base, step what) {
    auto* const self = static_cast<handler_operation*>(base);
    if (what == step::post)
      return boost::asio::post(decltype(Place::io_executor){self->where_.io_executor},
                               arrival{self});
    allocator_type allocator{completion<Handler>::allocator_of(self->handler_)};
    const error_code ec = self->error();
    Handler handler{std::move(self->handler_)};
    const Place where{std::move(self->where_)};
    self->~handler_operation();
    allocator.deallocate(self, 1);
    if (what != step::complete) return;
    if constexpr (Place::is_here) {
      std::move(handler)(ec);
    } else {
      const auto executor = boost::asio::get_associated_executor(handler, where.io_executor);
      boost::asio::dispatch(executor, completion<Handler>{std::move(handler), ec});
    }
  }

  /// Does not own the operation: the service does, so that one whose post fails is not lost.
  struct arrival {
    using allocator_type = handler_allocator;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator; }
    explicit arrival(handler_operation* o) noexcept
        : op{o}, allocator{completion<Handler>::allocator_of(o->handler_)} {}
    void operator()() { arrived(*op); }

    operation* op;
    allocator_type allocator;
  };

  Handler handler_;
  Place where_;
};

/// Makes the operation of a wait. \param io_executor the timer's, where the handler runs if it has
/// none of its own
template <class Handler>
[[nodiscard]] operation* make_operation(const boost::asio::any_io_executor& io_executor,
                                        service& host, const detail::work_of& work,
                                        Handler&& handler) {
  static_assert(!std::is_reference_v<Handler>, "the handler is moved from");
  if (const auto* const typed = detail::plain(io_executor); typed && work.is_covered(*typed)) {
    const auto& executor = boost::asio::get_associated_executor(handler, *typed);
    if (detail::plain(executor) && work.is_covered(executor))
      return handler_operation<Handler, in_context>::make(host, std::move(handler), *typed);
  }
  return handler_operation<Handler, elsewhere<Handler>>::make(host, std::move(handler), io_executor,
                                                              work, handler);
}

}  // namespace chime::user
