// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/kernel/timerfd_calls.hpp>
#include <chime/setting.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <optional>
#include <utility>

namespace chime::kernel {

/// A timer kept by the kernel behind a file descriptor; see timerfd_create(2).
///
/// This is a facility: what basic_timer needs of one kind of timer kept by somebody. Its functions
/// do not lock; the basic_timer that owns it does.
/// \tparam Clock realtime_clock, monotonic_clock, boottime_clock, realtime_alarm_clock or
///         boottime_alarm_clock. Any other fails to open with EINVAL, as timerfd_create does.
template <class Clock>
class timerfd {
 public:
  using clock_type = Clock;

  /// Opens a disarmed timer, non-blocking and close-on-exec.
  timerfd(const boost::asio::any_io_executor& executor, error_code& ec) {
    descriptor_.emplace(executor);
    auto fd = timerfd_calls<Clock>::create(ec);
    if (!ec) descriptor_->assign(fd.get(), ec);
    if (!ec) (void)fd.release();
  }

  /// timerfd_settime(2). Returns the old setting: time remaining and interval.
  ///
  /// ECANCELED comes back as error::clock_was_set(), and the timer is armed all the same.
  setting<Clock> set(const setting<Clock>& wanted, error_code& ec) {
    return calls_.set(descriptor_->native_handle(), wanted, ec);
  }

  /// timerfd_gettime(2): time remaining and interval.
  setting<Clock> get(error_code& ec) { return calls_.get(descriptor_->native_handle(), ec); }

  /// read(2): the expirations that nobody took; none of them is no error but zero.
  expiry<Clock> take(error_code& ec) { return calls_.take(descriptor_->native_handle(), ec); }

  /// Whether a take() would not come back empty-handed: poll(2).
  [[nodiscard]] bool is_ready() { return calls_.is_ready(descriptor_->native_handle()); }

  /// Calls `handler(error_code)` once, never from within this function, when a take() may succeed.
  /// One such wait at a time.
  template <class Handler>
  void async_ready(Handler&& handler) {
    descriptor_->async_wait(boost::asio::posix::descriptor_base::wait_read,
                            std::forward<Handler>(handler));
  }

  /// Blocks the calling thread until a take() may succeed. Signals do not end it.
  void wait_ready(error_code& ec) { calls_.wait_ready(descriptor_->native_handle(), ec); }

  /// Ends the wait begun by async_ready() with operation_aborted.
  void cancel() {
    error_code ignored;
    descriptor_->cancel(ignored);
  }

  /// Ends the wait as cancel() does. Nothing may be called any more.
  void close() {
    error_code ignored;
    descriptor_->close(ignored);
    descriptor_.reset();
  }

  [[nodiscard]] int native_handle() { return descriptor_->native_handle(); }

  /// As close(), but the descriptor stays open and is the caller's.
  [[nodiscard]] int release() {
    const int fd = descriptor_->release();
    descriptor_.reset();
    return fd;
  }

 private:
  // Gone once closed: an outstanding wait may outlive the timer, and even Asio's descriptor service
  // where Asio runs on io_uring.
  std::optional<boost::asio::posix::stream_descriptor> descriptor_;
  timerfd_calls<Clock> calls_;
};

}  // namespace chime::kernel
