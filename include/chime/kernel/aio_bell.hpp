// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/error.hpp>
#include <chime/shim/descriptor.hpp>
#include <chime/shim/error.hpp>
#include <chime/user/sleeper.hpp>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/posix/descriptor_base.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <utility>

namespace chime::kernel {

/// An eventfd in the reactor, rung by the kernel for each completion: one for as many AIO contexts as
/// one likes.
class aio_bell {
 public:
  void open(boost::asio::execution_context& context, error_code& ec) {
    shim::descriptor fd{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    ec = fd.is_open() ? error_code{} : shim::last_error();
    if (ec) return;
    descriptor_.emplace(user::in_place_executor{&context});
    descriptor_->assign(fd.get(), ec);
    if (ec)
      descriptor_.reset();
    else
      (void)fd.release();
  }

  [[nodiscard]] bool is_open() const noexcept { return descriptor_.has_value(); }
  [[nodiscard]] int native_handle() { return descriptor_->native_handle(); }

  /// Calls `rung(error_code)` once, never from within this function, on a thread that runs the context.
  /// Until then the context has work.
  template <class Rung>
  void listen(Rung rung) {
    descriptor_->async_wait(boost::asio::posix::descriptor_base::wait_read, std::move(rung));
  }

  /// Forgets that it was rung. What completes afterwards rings it again: so first this, then look.
  void clear() {
    std::uint64_t times = 0;
    [[maybe_unused]] const auto none = ::read(native_handle(), &times, sizeof times);
  }

  /// Ends listening, with operation_aborted; nothing once closed.
  void cancel() {
    if (!descriptor_) return;
    error_code ignored;
    descriptor_->cancel(ignored);
  }

  void close() {
    if (!descriptor_) return;
    error_code ignored;
    descriptor_->close(ignored);
    descriptor_.reset();
  }

 private:
  // Gone once closed: see kernel::timerfd.
  std::optional<boost::asio::posix::basic_stream_descriptor<user::in_place_executor>> descriptor_;
};

}  // namespace chime::kernel
