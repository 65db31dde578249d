// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/aio_operation.hpp>
#include <chime/detail/mutex.hpp>
#include <chime/error.hpp>
#include <chime/kernel/aio_batch.hpp>
#include <chime/kernel/aio_bell.hpp>
#include <chime/kernel/aio_queue.hpp>
#include <chime/shim/iocb.hpp>

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

namespace chime::kernel {

/// An AIO context in an execution context, and all that was submitted to it.
///
///     submit ---> waiting, in order ---io_submit, as many as there is room for---> the kernel
///                                                                                    |
///     handlers <--- post <--- results <--- ring <--- a look, when the bell rings <---+
///
/// It listens to the bell while the kernel has something. What listens also notices when the execution
/// context is destroyed: then everything is dropped.
///
/// Thread safety: safe.
class aio_context : public std::enable_shared_from_this<aio_context> {
 public:
  /// io_setup(2) and eventfd(2), and their errors; then null.
  [[nodiscard]] static std::shared_ptr<aio_context> open(boost::asio::execution_context& context,
                                                         unsigned capacity, error_code& ec) {
    auto queue = aio_queue::open(capacity);
    ec = queue ? error_code{} : queue.error();
    if (ec) return nullptr;
    auto made = std::make_shared<aio_context>();
    made->queue_ = std::move(*queue);
    made->bell_.open(context, ec);
    return ec ? nullptr : made;
  }

  [[nodiscard]] unsigned capacity() const noexcept { return queue_.capacity(); }

  /// A number for a new batch, to cancel it by.
  [[nodiscard]] std::uint64_t next_number() noexcept {
    const std::lock_guard lock{mutex_};
    return ++last_number_;
  }

  /// Takes a batch and begins what there is room for. EBADF if it has been closed.
  void submit(aio_batch& batch) {
    std::unique_lock lock{mutex_};
    batches_.insert(batches_.end(), batch);  // mostly the newest
    if (batch.pending == 0) finish(batch);
    for (aio_request& r : batch.requests()) {
      if (!is_open_) {
        settle(r, boost::asio::error::bad_descriptor);
        continue;
      }
      r.control = shim::with_data(shim::with_eventfd(r.control, bell_.native_handle()), &r);
      r.where = aio_request::place::waiting;
      waiting_.push_back(r);
    }
    if (is_open_) go_on();
    send(lock);
  }

  /// Cancels what can be of one batch, unless it is over.
  void cancel(std::uint64_t number) {
    std::unique_lock lock{mutex_};
    if (const auto at = batches_.find(number); at != batches_.end()) cancel(*at);
    send(lock);
  }

  /// The same of all.
  void cancel() {
    std::unique_lock lock{mutex_};
    cancel_all();
    send(lock);
  }

  /// Cancels what can be cancelled, waits for the rest, and destroys the kernel's context. Whatever was
  /// submitted completes.
  void close() {
    std::unique_lock lock{mutex_};
    end();
    send(lock);
  }

 private:
  using place = aio_request::place;
  template <class T>
  using list = boost::intrusive::list<T, boost::intrusive::constant_time_size<false>>;

  struct number_of {
    using type = std::uint64_t;
    const type& operator()(const aio_batch& batch) const noexcept { return batch.number; }
  };

  /// What waits for the bell. Destroyed without having been called, it takes everything along: then the
  /// execution context is being destroyed.
  class listener {
   public:
    explicit listener(std::shared_ptr<aio_context> who) noexcept : who_{std::move(who)} {}
    listener(listener&&) noexcept = default;
    ~listener() {
      if (who_ && who_->is_listening_) who_->abandon();  // else it could not even be begun
    }
    void operator()(error_code) { std::exchange(who_, nullptr)->rung(); }

   private:
    std::shared_ptr<aio_context> who_;
  };

  void rung() {
    std::unique_lock lock{mutex_};
    is_listening_ = false;
    if (!is_open_) return;
    if (queue_.is_mine()) {
      bell_.clear();
      take();
      go_on();
    } else {
      lose();  // a forked child: what the parent submitted is the parent's
    }
    send(lock);
  }

  /// Begins what there is room for, and whatever there is room for then.
  void go_on() {
    // Much is done by the time it has been submitted. It is seen for free where the ring is known.
    while (begin_waiting() && queue_.has_ring() && take() && !waiting_.empty()) continue;
    if (in_flight_ == 0 || is_listening_) return;
    bell_.listen(listener{this->shared_from_this()});
    is_listening_ = true;
  }

  /// \return whether anything was begun
  bool begin_waiting() {
    bool any = false;
    while (!waiting_.empty() && in_flight_ < capacity()) {
      std::array<shim::iocb*, 64> some;
      std::size_t n = 0;
      for (aio_request& r : waiting_) {
        if (n == std::min<std::size_t>(some.size(), capacity() - in_flight_)) break;
        some[n++] = &r.control;
      }
      const auto begun = queue_.submit({some.data(), n});
      if (!begun && begun.error().value() == EAGAIN && in_flight_ != 0) break;  // for want of room
      if (!begun) {
        settle(leave_line(), begun.error());
        continue;
      }
      for (std::size_t i = 0; i < *begun; ++i) leave_line().where = place::in_flight;
      in_flight_ += static_cast<unsigned>(*begun);
      any = any || *begun != 0;
    }
    return any;
  }

  aio_request& leave_line() noexcept {
    aio_request& first = waiting_.front();
    waiting_.pop_front();
    first.where = place::at_rest;
    return first;
  }

  /// Takes the events that there are. \return whether there were any
  bool take() {
    return queue_.take([this](const shim::io_event& event) { came(event); }) != 0;
  }

  void came(const shim::io_event& event) noexcept {
    --in_flight_;
    aio_request& r = *shim::data_of<aio_request>(event);
    r.where = place::at_rest;
    const auto result = shim::outcome(event);
    if (!result) return settle(r, result.error());
    // A cancelled poll has no events. One that has some was ready first.
    if (r.is_cancelled && *result == 0) return settle(r, boost::asio::error::operation_aborted);
    settle(r, {}, static_cast<std::size_t>(*result));
  }

  void settle(aio_request& r, error_code ec, std::size_t value = 0) noexcept {
    *r.result = {ec, value};
    if (--r.batch->pending == 0) finish(*r.batch);
  }

  void finish(aio_batch& batch) noexcept {
    batches_.erase(batches_.iterator_to(batch));
    finished_.push_back(batch);
  }

  void cancel(aio_batch& batch) noexcept {
    for (aio_request& r : batch.requests()) {
      if (r.where == place::waiting) {
        waiting_.erase(waiting_.iterator_to(r));
        r.where = place::at_rest;
        settle(r, boost::asio::error::operation_aborted);
      } else if (r.where == place::in_flight && !r.is_cancelled &&
                 r.control.aio_lio_opcode == IOCB_CMD_POLL) {
        // Anything else answers EINVAL: it goes on, and brings its own result.
        r.is_cancelled = queue_.cancel(r.control);
      }
    }
  }

  void cancel_all() noexcept {
    for (auto at = batches_.begin(); at != batches_.end();) cancel(*at++);
  }

  void lose() noexcept {
    for (auto at = batches_.begin(); at != batches_.end();) {
      aio_batch& batch = *at++;
      cancel(batch);
      for (aio_request& r : batch.requests())
        if (std::exchange(r.where, place::at_rest) == place::in_flight)
          settle(r, boost::asio::error::operation_aborted);
    }
    in_flight_ = 0;
  }

  /// Waits until the kernel has nothing any more, and gives up what is the kernel's.
  void end() noexcept {
    if (!std::exchange(is_open_, false)) return;
    cancel_all();
    while (in_flight_ != 0 && queue_.wait([this](const shim::io_event& event) { came(event); }))
      continue;
    lose();
    queue_ = {};
    bell_.close();
  }

  void abandon() noexcept {
    list<aio_batch> dropped;  // after the lock: their handlers may own anything
    {
      const std::lock_guard lock{mutex_};
      end();
      dropped.swap(finished_);
    }
    dropped.clear_and_dispose([](aio_batch* batch) { batch->destroy(); });
  }

  /// Posts what is over. \pre locked
  void send(std::unique_lock<detail::mutex>& lock) {
    std::exception_ptr failed;
    while (!finished_.empty()) {
      aio_batch& batch = finished_.front();
      finished_.pop_front();
      lock.unlock();
      try {
        batch.complete();
      } catch (...) {
        failed = std::current_exception();
      }
      lock.lock();
    }
    if (failed) std::rethrow_exception(failed);
  }

  detail::mutex mutex_;
  aio_queue queue_;
  aio_bell bell_;
  list<aio_request> waiting_;
  boost::intrusive::set<aio_batch, boost::intrusive::constant_time_size<false>,
                        boost::intrusive::key_of_value<number_of>>
      batches_;               // outstanding, oldest first
  list<aio_batch> finished_;  // over, to be sent by whoever holds the lock
  unsigned in_flight_ = 0;
  std::uint64_t last_number_ = 0;
  bool is_open_ = true;
  std::atomic<bool> is_listening_ = false;  // written with the lock
};

/// Stands in the cancellation slot of a batch. Names it by its number, so it may outlive it.
class cancel_aio {
 public:
  cancel_aio(std::weak_ptr<aio_context> context, std::uint64_t number) noexcept
      : context_{std::move(context)}, number_{number} {}

  void operator()(boost::asio::cancellation_type type) const {
    if (type == boost::asio::cancellation_type::none) return;
    if (const auto context = context_.lock()) context->cancel(number_);
  }

 private:
  std::weak_ptr<aio_context> context_;
  std::uint64_t number_;
};

}  // namespace chime::kernel
