// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/aio_operation.hpp>
#include <chime/detail/outstanding_work.hpp>
#include <chime/detail/posted_answer.hpp>
#include <chime/error.hpp>
#include <chime/shim/iocb.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/set_hook.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace chime::kernel {

class aio_batch;

/// One operation on its way to the kernel and back.
struct aio_request : boost::intrusive::list_base_hook<> {
  enum class place : std::uint8_t { at_rest, waiting, in_flight };

  shim::iocb control{};  // its address is what the kernel knows it by: it does not move
  aio_batch* batch = nullptr;
  aio_result* result = nullptr;
  place where = place::at_rest;
  bool is_cancelled = false;
};

/// One call of async_submit, of one operation or of many, without the type of its handler.
class aio_batch : public boost::intrusive::list_base_hook<>,
                  public boost::intrusive::set_base_hook<> {
 public:
  aio_batch(const aio_batch&) = delete;
  aio_batch& operator=(const aio_batch&) = delete;

  /// Sends the handler on its way, with the results. It is gone then.
  virtual void complete() = 0;

  /// Drops it together with its handler.
  virtual void destroy() noexcept = 0;

  [[nodiscard]] std::span<aio_request> requests() const noexcept { return requests_; }

  std::size_t pending = 0;  // operations that have no result yet
  std::uint64_t number = 0;

 protected:
  aio_batch() = default;
  ~aio_batch() = default;

  void reset_requests(std::span<aio_request> requests, std::span<aio_result> results) noexcept {
    requests_ = requests;
    pending = requests.size();
    for (std::size_t i = 0; i < requests.size(); ++i) {
      requests[i].batch = this;
      requests[i].result = &results[i];
    }
  }

 private:
  std::span<aio_request> requests_;
};

struct destroy_aio_batch {
  void operator()(aio_batch* batch) const noexcept { batch->destroy(); }
};

static_assert(sizeof(aio_buffer) == sizeof(::iovec) &&
              offsetof(aio_buffer, size) == offsetof(::iovec, iov_len));

/// The kernel's way of saying it.
[[nodiscard]] inline shim::iocb to_iocb(const aio_operation& op) noexcept {
  using kind = aio_operation::kind;
  if (op.what == kind::sync) return shim::iocb_fsync(op.descriptor);
  if (op.what == kind::sync_data) return shim::iocb_fdsync(op.descriptor);
  if (op.what == kind::poll) return shim::iocb_poll(op.descriptor, static_cast<short>(op.events));
  const std::span vectors{reinterpret_cast<const ::iovec*>(op.data), op.size};
  shim::iocb made =
      op.what == kind::read    ? shim::iocb_pread(op.descriptor, op.data, op.size, op.offset)
      : op.what == kind::write ? shim::iocb_pwrite(op.descriptor, op.data, op.size, op.offset)
      : op.what == kind::scatter_read ? shim::iocb_preadv(op.descriptor, vectors, op.offset)
                                      : shim::iocb_pwritev(op.descriptor, vectors, op.offset);
  if (op.priority.raw() != 0)
    made = shim::with_priority(made, static_cast<shim::ioprio>(op.priority.raw()));
  return op.rw_flags != 0 ? shim::with_rw_flags(made, op.rw_flags) : made;
}

/// What a batch of one keeps, and calls its handler with.
class one_result {
 public:
  using value_type = std::size_t;

  template <class Allocator>
  one_result(const aio_operation& op, const Allocator&) {
    requests_[0].control = to_iocb(op);
  }
  [[nodiscard]] std::span<aio_request> requests() noexcept { return requests_; }
  [[nodiscard]] std::span<aio_result> results() noexcept { return results_; }
  [[nodiscard]] error_code error() const noexcept { return results_[0].error; }
  [[nodiscard]] value_type take() noexcept { return results_[0].value; }

 private:
  std::array<aio_request, 1> requests_;
  std::array<aio_result, 1> results_;
};

/// The same of a batch of many. Its error says only what became of the batch.
template <class Allocator>
class many_results {
  using request_allocator =
      typename std::allocator_traits<Allocator>::template rebind_alloc<aio_request>;

 public:
  using value_type = std::vector<aio_result>;

  many_results(std::span<const aio_operation> ops, const Allocator& allocator)
      : requests_(ops.size(), request_allocator{allocator}), results_(ops.size()) {
    for (std::size_t i = 0; i < ops.size(); ++i) requests_[i].control = to_iocb(ops[i]);
  }
  [[nodiscard]] std::span<aio_request> requests() noexcept { return requests_; }
  [[nodiscard]] std::span<aio_result> results() noexcept { return results_; }
  [[nodiscard]] error_code error() const noexcept {
    for (const aio_result& r : results_)
      if (r.error == boost::asio::error::operation_aborted) return r.error;
    return {};
  }
  [[nodiscard]] value_type take() noexcept { return std::move(results_); }

 private:
  std::vector<aio_request, request_allocator> requests_;
  value_type results_;
};

/// A batch with its handler, in memory of the handler's allocator.
/// \tparam Results one_result or many_results
template <class Executor, class Handler, class Results>
class handler_batch final : public aio_batch {
  using executor_type = boost::asio::associated_executor_t<Handler, Executor>;
  using allocator_type = typename std::allocator_traits<
      boost::asio::associated_allocator_t<Handler>>::template rebind_alloc<handler_batch>;

 public:
  template <class Operations>
  [[nodiscard]] static handler_batch* make(const Executor& io_executor, const Operations& ops,
                                           Handler&& handler) {
    allocator_type allocator{boost::asio::get_associated_allocator(handler)};
    handler_batch* const place = allocator.allocate(1);
    try {
      return new (place) handler_batch{io_executor, ops, std::move(handler)};
    } catch (...) {
      allocator.deallocate(place, 1);
      throw;
    }
  }

  void complete() override {
    const error_code ec = results_.error();
    auto value = results_.take();
    Handler handler{std::move(handler_)};
    const Executor io_executor{io_executor_};
    const auto io_work{std::move(io_work_)};
    const auto work{std::move(work_)};
    allocator_type allocator{boost::asio::get_associated_allocator(handler)};
    free(allocator);
    detail::post_answer(io_executor, std::move(handler), ec, std::move(value));
  }

  void destroy() noexcept override {
    const Handler handler{std::move(handler_)};  // outlives its allocator's memory
    allocator_type allocator{boost::asio::get_associated_allocator(handler)};
    free(allocator);
  }

 private:
  template <class Operations>
  handler_batch(const Executor& io_executor, const Operations& ops, Handler&& handler)
      : results_{ops, boost::asio::get_associated_allocator(handler)},
        handler_{std::move(handler)},
        io_executor_{io_executor},
        io_work_{detail::keep_running(io_executor)},
        work_{detail::keep_running(boost::asio::get_associated_executor(handler_, io_executor))} {
    this->reset_requests(results_.requests(), results_.results());
  }

  void free(allocator_type& allocator) noexcept {
    this->~handler_batch();
    allocator.deallocate(this, 1);
  }

  Results results_;
  Handler handler_;
  Executor io_executor_;
  decltype(detail::keep_running(std::declval<const Executor&>())) io_work_;
  decltype(detail::keep_running(std::declval<const executor_type&>())) work_;
};

}  // namespace chime::kernel
