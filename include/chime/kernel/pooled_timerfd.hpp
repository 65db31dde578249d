// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock.hpp>
#include <chime/detail/outstanding_work.hpp>
#include <chime/engine/base.hpp>
#include <chime/engine/time_line.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/kernel/poll_group.hpp>
#include <chime/kernel/timerfd_calls.hpp>
#include <chime/rules.hpp>
#include <chime/setting.hpp>
#include <chime/shim/descriptor.hpp>
#include <chime/user/hosted_timer.hpp>
#include <chime/user/operation.hpp>
#include <chime/user/service.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace chime::kernel {

/// A timerfd as kernel::timerfd is one, but not in the reactor by itself: all of an execution context are
/// waited for in common, by AIO polls (see poll_group). Where many expire at about the same time, an
/// expiration costs little more than the read(2) that takes it.
///
/// \tparam Clock as of kernel::timerfd. Opening fails with EAGAIN besides, where fs.aio-max-nr leaves no
///         room, and with ENOSYS where there is no AIO.
template <class Clock>
class pooled_timerfd {
 public:
  using clock_type = Clock;

  pooled_timerfd(const boost::asio::any_io_executor& executor, error_code& ec) {
    auto& context = boost::asio::query(executor, boost::asio::execution::context);
    timer_.emplace(boost::asio::use_service<user::service>(context),
                   boost::asio::use_service<poll_group>(context), executor, ec);
    if (ec) timer_.reset();
  }

  setting<Clock> set(const setting<Clock>& wanted, error_code& ec) {
    return timer_->set(wanted, ec);
  }
  setting<Clock> get(error_code& ec) { return timer_->get(ec); }
  expiry<Clock> take(error_code& ec) { return timer_->take(ec); }
  [[nodiscard]] bool is_ready() { return timer_->has_expired(); }
  template <class Handler>
  void async_ready(Handler&& handler) {
    timer_->async_ready(std::forward<Handler>(handler));
  }
  void wait_ready(error_code& ec) { timer_->wait_ready(ec); }
  void cancel() { timer_->cancel(); }
  void close() { timer_.reset(); }
  [[nodiscard]] int native_handle() { return timer_->native_handle(); }
  [[nodiscard]] int release() {
    const int fd = timer_->release();
    timer_.reset();
    return fd;
  }

 private:
  class pooled final : public user::hosted_timer, public pollable {
   public:
    pooled(user::service& host, poll_group& group, const boost::asio::any_io_executor& executor,
           error_code& ec)
        : host_{host}, group_{group}, executor_{executor} {
      timer_ = timerfd_calls<Clock>::create(ec);
      const user::service::access locked{host_};
      // It never stands in that line.
      host_.add(*this, executor_, host_.scheduler().line(engine::base::monotonic));
      if (!ec) place_ = group_.take_place(*this, timer_.get(), ec);
    }
    ~pooled() {
      const user::service::access locked{host_};
      place_.reset();
      host_.remove(*this);
    }

    setting<Clock> set(const setting<Clock>& wanted, error_code& ec) {
      const user::service::access locked{host_};
      // What a poll has found of the old setting is no news any more.
      const auto old = calls_.set(timer_.get(), wanted, ec);
      if (!ec || ec == error::clock_was_set()) is_ready_ = false;
      return old;
    }
    setting<Clock> get(error_code& ec) { return calls_.get(timer_.get(), ec); }

    expiry<Clock> take(error_code& ec) {
      {
        const user::service::access locked{host_};
        is_ready_ = false;
        ec = std::exchange(failed_, error_code{});
      }
      if (ec) return {};
      return calls_.take(timer_.get(), ec);
    }

    [[nodiscard]] bool has_expired() { return calls_.is_ready(timer_.get()); }
    void wait_ready(error_code& ec) { calls_.wait_ready(timer_.get(), ec); }

    template <class Handler>
    void async_ready(Handler&& handler) {
      // As of a bridged_timer.
      const detail::work_of work = host_.work(detail::covered::nobody);
      std::unique_ptr<user::operation, user::destroy_operation> op{
          user::make_operation(executor_, host_, work, std::forward<Handler>(handler))};
      bool must_flush = false;
      {
        const user::service::access locked{host_};
        if (!is_ready_) must_flush = group_.begin(*place_);
        host_.wait(*this, *op);
        (void)op.release();
      }
      if (must_flush) flush_soon();
    }

    void cancel() {
      const user::service::access locked{host_};
      group_.end(*place_);
      host_.cancel(*this);
    }

    [[nodiscard]] int native_handle() const noexcept { return timer_.get(); }
    [[nodiscard]] int release() noexcept { return timer_.release(); }

   private:
    /// Others that run now may begin waits, too: all go to the kernel by one system call.
    void flush_soon() {
      const auto flush = [&group = group_] { group.flush(); };
      try {
        // (The context's own executor needs no memory for it in steady state.)
        if (const auto* const typed = detail::plain(executor_))
          boost::asio::post(boost::asio::io_context::executor_type{*typed}, flush);
        else
          boost::asio::post(executor_, flush);
      } catch (...) {
        group_.flush();  // no memory for that
      }
    }

    void polled(error_code ec) noexcept override {
      failed_ = ec;
      is_ready_ = true;
      host_.wake(*this);
    }

    bool expire(nanoseconds) noexcept override { return false; }
    nanoseconds next_deadline() const noexcept override { return rules::never; }
    bool is_ready() const noexcept override { return is_ready_; }

    user::service& host_;
    poll_group& group_;
    boost::asio::any_io_executor executor_;
    shim::descriptor timer_;
    timerfd_calls<Clock> calls_;
    poll_group::place_owner place_;
    bool is_ready_ = false;  // a poll has said so, and nobody took anything since
    error_code failed_;      // why it could not be polled
  };

  std::optional<pooled> timer_;
};

}  // namespace chime::kernel
