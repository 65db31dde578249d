// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/schedule.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/setting.hpp>
#include <chime/shim/timerfd.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <poll.h>

#include <cstdint>
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
  using native_handle_type = int;

  /// Opens a disarmed timer, non-blocking and close-on-exec.
  timerfd(const boost::asio::any_io_executor& executor, error_code& ec) {
    descriptor_.emplace(executor);
    using shim::timerfd_flags;
    auto fd = shim::timerfd_create(shim::id_of(Clock::kind),
                                   timerfd_flags::nonblock | timerfd_flags::cloexec);
    ec = fd ? error_code{} : fd.error();
    if (fd) descriptor_->assign(fd->get(), ec);
    if (!ec) (void)fd->release();
  }

  /// timerfd_settime(2). Returns the old setting: time remaining and interval.
  ///
  /// ECANCELED comes back as error::clock_was_set(), and the timer is armed all the same.
  setting<Clock> set(const setting<Clock>& wanted, error_code& ec) {
    const detail::schedule<Clock> planned{wanted};
    // A relative deadline that lies on the timer's own clock is handed over as an absolute one: the
    // same to the kernel, and the scheduled time of each expiration is known exactly.
    const bool pinned =
        !wanted.is_absolute() && wanted.value > nanoseconds::zero() && !planned.is_detached();
    const nanoseconds value = pinned ? planned.next().time_since_epoch() : wanted.value;

    using shim::timerfd_set_flags;
    auto flags = timerfd_set_flags::none;
    if (pinned || wanted.is_absolute()) flags = flags | timerfd_set_flags::abstime;
    if (wanted.is_absolute() && wanted.on_clock_set == on_clock_set::cancel)
      flags = flags | timerfd_set_flags::cancel_on_set;

    const auto old = shim::timerfd_settime(
        descriptor_->native_handle(), flags,
        {to_timespec<shim::timespec>(wanted.interval), to_timespec<shim::timespec>(value)});
    ec = old ? error_code{} : translate(old.error());
    if (old || ec == error::clock_was_set()) schedule_ = planned;
    return old ? from_kernel(*old) : setting<Clock>{};
  }

  /// timerfd_gettime(2): time remaining and interval.
  setting<Clock> get(error_code& ec) {
    const auto now = shim::timerfd_gettime(descriptor_->native_handle());
    ec = now ? error_code{} : now.error();
    return now ? from_kernel(*now) : setting<Clock>{};
  }

  /// read(2): the expirations that nobody took; none of them is no error but zero.
  expiry<Clock> take(error_code& ec) {
    const auto count = shim::timerfd_read(descriptor_->native_handle());
    ec = count ? error_code{} : why_nothing(count.error());
    return count ? schedule_.take(*count) : expiry<Clock>{};
  }

  /// Calls `handler(error_code)` once, never from within this function, when a take() may succeed.
  /// One such wait at a time.
  template <class Handler>
  void async_ready(Handler&& handler) {
    descriptor_->async_wait(boost::asio::posix::descriptor_base::wait_read,
                            std::forward<Handler>(handler));
  }

  /// Blocks the calling thread until a take() may succeed. Signals do not end it.
  void wait_ready(error_code& ec) {
    ::pollfd readable{.fd = descriptor_->native_handle(), .events = POLLIN, .revents = 0};
    int status;
    do status = ::poll(&readable, 1, -1);
    while (status == -1 && errno == EINTR);
    ec = status == -1 ? shim::last_error() : error_code{};
  }

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
  static setting<Clock> from_kernel(const shim::itimerspec& t) noexcept {
    return setting<Clock>::after(from_timespec(t.it_value).value_or(rules::never),
                                 from_timespec(t.it_interval).value_or(rules::never));
  }

  [[gnu::noinline, gnu::cold]] static error_code why_nothing(error_code read_failed) noexcept {
    return read_failed.value() == EAGAIN ? error_code{} : translate(read_failed);
  }

  static error_code translate(error_code ec) noexcept {
    return ec.value() == ECANCELED ? error::clock_was_set() : ec;
  }

  // Gone once closed: an outstanding wait may outlive the timer, and even Asio's descriptor service
  // where Asio runs on io_uring.
  std::optional<boost::asio::posix::stream_descriptor> descriptor_;
  detail::schedule<Clock> schedule_;
};

}  // namespace chime::kernel
