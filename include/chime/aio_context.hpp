// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/aio_operation.hpp>
#include <chime/basic_timer.hpp>
#include <chime/detail/posted_answer.hpp>
#include <chime/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <chime/kernel/aio_context.hpp>
#endif

namespace chime {

/// Asynchronous I/O by the kernel: io_setup(2) and its relatives, awaitable.
///
/// Operations go to the kernel in the order in which they are submitted, up to `capacity` of them at a
/// time; the others wait in line, and none is ever refused for want of room. Completions are found in
/// the ring that the kernel shares with the process; one eventfd in Asio's reactor tells of them.
///
/// On another system than Linux, and where the kernel has no AIO, it compiles, and fails with
/// function_not_supported (ENOSYS).
///
/// Thread safety: distinct objects: safe. Shared objects: unsafe; but operations that are outstanding
/// complete, and are cancelled, safely beside calls on the object.
///
/// After a fork(2) the child's is of no use: what was outstanding completes with operation_aborted
/// there, and what is submitted, with EINVAL.
///
/// \tparam Executor the I/O executor, as of any Asio I/O object
template <class Executor = boost::asio::any_io_executor>
class basic_aio_context {
 public:
  using executor_type = Executor;

  static constexpr unsigned default_capacity = 128;

  /// The same on another executor type.
  template <class OtherExecutor>
  struct rebind_executor {
    using other = basic_aio_context<OtherExecutor>;
  };

  /// Opens a context for `capacity` operations in flight at a time.
  /// \par Errors
  /// EINVAL: a capacity of 0, or absurdly many. EAGAIN: more than /proc/sys/fs/aio-max-nr leaves
  /// (aio-nr says what is in use). EMFILE, ENFILE, ENOMEM: no room. ENOSYS: no AIO here.
  explicit basic_aio_context(const executor_type& executor, unsigned capacity = default_capacity)
      : executor_{executor} {
    error_code ec;
    open(capacity, ec);
    if (ec) throw system_error{ec, "chime aio_context"};
  }
  basic_aio_context(const executor_type& executor, unsigned capacity, error_code& ec)
      : executor_{executor} {
    open(capacity, ec);
  }

  /// The same, for an execution context's default executor.
  template <class Context>
    requires std::convertible_to<Context&, boost::asio::execution_context&>
  explicit basic_aio_context(Context& context, unsigned capacity = default_capacity)
      : basic_aio_context{executor_type{context.get_executor()}, capacity} {}
  template <class Context>
    requires std::convertible_to<Context&, boost::asio::execution_context&>
  basic_aio_context(Context& context, unsigned capacity, error_code& ec)
      : basic_aio_context{executor_type{context.get_executor()}, capacity, ec} {}

  /// Takes over a context together with its outstanding operations. What is left is closed.
  basic_aio_context(basic_aio_context&& other) noexcept
      : executor_{other.executor_}, state_{std::move(other.state_)} {}
  template <class OtherExecutor>
    requires std::convertible_to<OtherExecutor, Executor>
  basic_aio_context(basic_aio_context<OtherExecutor>&& other)
      : executor_{other.executor_}, state_{std::move(other.state_)} {}

  /// As the move constructor, after closing what was held before.
  basic_aio_context& operator=(basic_aio_context&& other) noexcept {
    if (this == &other) return *this;
    close();
    executor_ = other.executor_;
    state_ = std::move(other.state_);
    return *this;
  }

  /// As close().
  ~basic_aio_context() { close(); }

  [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }

  /// False after close() and being moved from.
  [[nodiscard]] bool is_open() const noexcept { return state_ != nullptr; }

  /// How many operations may be in flight at a time; 0 once closed.
  [[nodiscard]] unsigned capacity() const noexcept {
#if defined(__linux__)
    if (state_) return state_->capacity();
#endif
    return 0;
  }

  /// Submits one operation.
  ///
  /// What the kernel does not do in the background is done within this function: see aio_operation.
  ///
  /// \par Completion signature
  /// `void(error_code, std::size_t)`: bytes, or the events of a poll. Fewer bytes than asked for are no
  /// error, as of pread(2).
  ///
  /// \par Executor
  /// The handler runs on its associated executor, by default the context's; never from within this
  /// function. Memory comes from its associated allocator and is freed before the handler runs.
  ///
  /// \par Lifetime
  /// Descriptor and buffers must last until the handler is called, or close() or the destructor has
  /// returned. The object may be moved meanwhile.
  ///
  /// \par Cancellation
  /// Per operation, by any type: what waits in line leaves it, and a poll ends; both complete with
  /// operation_aborted. What the kernel cannot cancel (io_cancel says EINVAL), a read, write or sync that
  /// is in flight, goes on and completes with its own result. So whoever gets operation_aborted knows
  /// that nothing was done.
  ///
  /// \par Errors
  /// - asio::error::operation_aborted: cancelled, or the context was closed.
  /// - EBADF: a bad descriptor, or the context is closed.
  /// - EINVAL: a negative offset, a misaligned O_DIRECT, a file without that operation.
  /// - what pread(2), pwrite(2), fsync(2) and io_submit(2) say besides.
  template <std::same_as<aio_operation> Operation,
            boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                default_wait_token<executor_type>>
  auto async_submit(const Operation& operation,
                    Token&& token = default_wait_token<executor_type>{}) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(initiate{this}, token,
                                                                             operation);
  }

  /// Submits many at once: as many as there is room for by a single system call. They complete together,
  /// when the last is over. Operations of one batch are begun in order, and may be done in any.
  ///
  /// The operations themselves are copied when the batch is begun; a deferred one refers to them until
  /// then.
  ///
  /// \par Completion signature
  /// `void(error_code, std::vector<aio_result>)`: a result for each, in order. The error is of the batch:
  /// operation_aborted if a cancellation or close() ended at least one of them, EBADF if the context was
  /// closed. Errors of operations are in the results alone.
  ///
  /// In all else as above. Cancellation is of all that can be cancelled.
  template <std::convertible_to<std::span<const aio_operation>> Operations,
            boost::asio::completion_token_for<void(error_code, std::vector<aio_result>)> Token =
                default_wait_token<executor_type>>
  auto async_submit(const Operations& operations,
                    Token&& token = default_wait_token<executor_type>{}) {
    return boost::asio::async_initiate<Token, void(error_code, std::vector<aio_result>)>(
        initiate{this}, token, std::span<const aio_operation>{operations});
  }

  /// Cancels every outstanding operation, as far as it can be: see async_submit().
  void cancel() {
#if defined(__linux__)
    if (state_) state_->cancel();
#endif
  }

  /// Cancels what can be cancelled, *waits* for the rest as io_destroy(2) does, and gives the context up.
  /// Handlers are called with operation_aborted or with what was done after all. Once this returns, the
  /// kernel uses no buffer any more. That blocks for some time, with nothing in flight too: io_destroy
  /// waits for the kernel's RCU (38 ms on 6.18). So keep a context rather than make one for each file.
  void close() noexcept {
    [[maybe_unused]] const auto state = std::exchange(state_, nullptr);
#if defined(__linux__)
    if (state) state->close();
#endif
  }

 private:
  template <class>
  friend class basic_aio_context;

#if defined(__linux__)
  using state_type = kernel::aio_context;
#else
  struct state_type {};
#endif

  struct initiate {
    using executor_type = Executor;
    [[nodiscard]] executor_type get_executor() const noexcept { return self->executor_; }

    template <class Handler, class Operations>
    void operator()(Handler&& handler, const Operations& operations) const {
      self->start(std::decay_t<Handler>(std::forward<Handler>(handler)), operations);
    }

    basic_aio_context* self;
  };

  template <class Handler>
  void start(Handler&& handler, [[maybe_unused]] const aio_operation& operation) {
    if (!state_)
      return detail::post_answer(executor_, std::move(handler), why_closed(), std::size_t{0});
#if defined(__linux__)
    submit<kernel::one_result>(std::move(handler), operation);
#endif
  }

  template <class Handler>
  void start(Handler&& handler, std::span<const aio_operation> operations) {
    if (!state_)
      return detail::post_answer(executor_, std::move(handler), why_closed(),
                                 std::vector<aio_result>(operations.size(), {why_closed(), 0}));
#if defined(__linux__)
    submit<kernel::many_results<boost::asio::associated_allocator_t<Handler>>>(std::move(handler),
                                                                               operations);
#endif
  }

#if defined(__linux__)
  template <class Results, class Handler, class Operations>
  void submit(Handler&& handler, const Operations& operations) {
    const std::uint64_t number = state_->next_number();
    if (auto slot = boost::asio::get_associated_cancellation_slot(handler); slot.is_connected())
      slot.template emplace<kernel::cancel_aio>(state_, number);
    kernel::aio_batch* const batch = kernel::handler_batch<Executor, Handler, Results>::make(
        executor_, operations, std::move(handler));
    batch->number = number;
    state_->submit(*batch);
  }

  void open(unsigned capacity, error_code& ec) {
    auto& context = boost::asio::query(boost::asio::any_io_executor{executor_},
                                       boost::asio::execution::context);
    state_ = kernel::aio_context::open(context, capacity, ec);
  }

  static error_code why_closed() noexcept { return boost::asio::error::bad_descriptor; }
#else
  void open(unsigned, error_code& ec) { ec = why_closed(); }

  static error_code why_closed() noexcept { return error::from_errno(ENOSYS); }
#endif

  executor_type executor_;
  std::shared_ptr<state_type> state_;
};

using aio_context = basic_aio_context<>;

}  // namespace chime
