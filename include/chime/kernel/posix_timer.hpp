// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/schedule.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/kernel/bridged_timer.hpp>
#include <chime/kernel/signal_bridge.hpp>
#include <chime/read_clock.hpp>
#include <chime/setting.hpp>
#include <chime/shim/posix_timer.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace chime::kernel {

/// A POSIX per-process timer kept by the Linux kernel: rules P. Its signal goes to a thread of
/// chime's (see signal_bridge), and is accepted at once; the expirations add up until they are
/// taken.
///
/// How often it has expired is known from the setting and the clock too (E3), so nobody who asks
/// depends on how soon that thread runs. And a periodic timer that expires again and again while
/// nobody takes anything is put to rest after the second time, and goes on in phase when somebody
/// asks.
///
/// \tparam Clock realtime_clock, monotonic_clock, boottime_clock, tai_clock, process_cpu_clock or
///         thread_cpu_clock: the CPU time of the thread that opens it or is named. Alarm clocks fail to open
///         with EOPNOTSUPP where there is no RTC, and with EPERM without CAP_WAKE_ALARM; any other
///         with EINVAL. EAGAIN: too many (RLIMIT_SIGPENDING). After a fork the child's fails with
///         EINVAL.
template <class Clock>
class posix_timer {
 public:
  using clock_type = Clock;

  posix_timer(const boost::asio::any_io_executor& executor, error_code& ec) {
    open(executor, clock_of_this_thread(), ec);
  }

  /// On the CPU time of the given thread. EINVAL: there is none.
  posix_timer(const boost::asio::any_io_executor& executor, error_code& ec, thread_clock thread)
    requires(Clock::kind == clock_kind::thread_cpu)
  {
    open(executor, thread, ec);
  }

  /// timer_settime(2). Returns the old setting: time remaining and interval.
  setting<Clock> set(const setting<Clock>& wanted, error_code& ec) {
    return timer_->set(wanted, ec);
  }

  /// timer_gettime(2): time remaining and interval.
  setting<Clock> get(error_code& ec) { return timer_->get(ec); }

  /// The expirations that nobody took; none of them is no error but zero.
  expiry<Clock> take(error_code& ec) { return timer_->take(ec); }

  /// Whether a take() would not come back empty-handed.
  [[nodiscard]] bool is_ready() { return timer_->has_expired(); }

  template <class Handler>
  void async_ready(Handler&& handler) {
    timer_->async_ready(std::forward<Handler>(handler));
  }
  void wait_ready(error_code& ec) {
    ec = {};
    timer_->wait_ready();
  }
  void cancel() { timer_->cancel(); }
  void close() { timer_.reset(); }

  /// The kernel's number of the timer. Not a descriptor.
  [[nodiscard]] int native_handle() { return static_cast<int>(timer_->id()); }

  /// The time on the timer's clock: of the thread that opened it, if that is a thread's.
  [[nodiscard]] typename Clock::time_point now() {
    return typename Clock::time_point{timer_->now()};
  }

 private:
  class bridged final : public bridged_timer {
   public:
    bridged(user::service& host, const boost::asio::any_io_executor& executor, thread_clock thread,
            error_code& ec)
        : bridged_timer{host, executor}, thread_{thread} {
      // First: once there is a timer, nothing may fail; and the destructor leaves.
      this->join(engine::base_of(Clock::kind, reference::relative), thread);
      if (Clock::kind == clock_kind::user_cpu) {
        ec = error::invalid_argument();
        return;
      }
      try {
        const auto clock = Clock::kind == clock_kind::thread_cpu
                               ? static_cast<shim::clock_id>(thread)
                               : shim::id_of(Clock::kind);
        auto made = signal_bridge::get().create(clock, *this, ticket_);
        ec = made ? error_code{} : made.error();
        if (made) timer_ = std::move(*made);
      } catch (...) {
        this->leave();
        throw;
      }
    }
    ~bridged() {
      if (timer_) signal_bridge::get().destroy(timer_, ticket_);
      this->leave();
    }

    [[nodiscard]] shim::timer_id id() const noexcept { return *timer_; }

    [[nodiscard]] nanoseconds now() const noexcept { return detail::read_clock_of<Clock>(thread_); }

    setting<Clock> set(const setting<Clock>& wanted, error_code& ec) {
      const std::lock_guard unheard{signal_bridge::get()};
      if (is_gone(ec)) return {};
      wake_up();
      const detail::schedule<Clock> planned{wanted, thread_};
      // As kernel::timerfd does: the same to the kernel, and each deadline is known exactly.
      const bool pinned =
          !wanted.is_absolute() && wanted.value > nanoseconds::zero() && !planned.is_detached();
      const nanoseconds value = pinned ? planned.next().time_since_epoch() : wanted.value;
      const auto old = settime(pinned || wanted.is_absolute(), value, wanted.interval);
      ec = old ? error_code{} : old.error();
      if (!old) return {};  // the earlier setting stands
      const user::service::access locked{this->host()};
      const setting<Clock> before = as_told(*old);
      schedule_ = planned;
      is_armed_ = wanted.is_armed();
      this->set_count(0);
      this->was_set();
      return before;
    }

    setting<Clock> get(error_code& ec) {
      const std::lock_guard unheard{signal_bridge::get()};
      if (is_gone(ec)) return {};
      wake_up();
      const auto left = shim::timer_gettime(*timer_);
      ec = left ? error_code{} : left.error();
      if (!left) return {};
      const user::service::access locked{this->host()};
      return as_told(*left);
    }

    expiry<Clock> take(error_code& ec) {
      {
        const user::service::access locked{this->host()};
        ec = this->exists() ? error_code{} : error::invalid_argument();
        if (ec) return {};
        if (!is_at_rest_ && due() <= this->count()) return take_counted();
      }
      // The overrun is fixed now (P5), whatever the kernel has told so far.
      const std::lock_guard unheard{signal_bridge::get()};
      if (is_gone(ec)) return {};
      const user::service::access locked{this->host()};
      catch_up();
      return take_counted();
    }

   private:
    /// With access: how often it has expired since the last take, by the clock and the setting.
    [[nodiscard]] std::uint64_t due() const noexcept { return is_armed_ ? schedule_.due() : 0; }
    bool has_more() const noexcept override { return due() != 0; }
    nanoseconds when_to_look() const noexcept override {
      return counts_cpu(Clock::kind) && is_armed_ ? schedule_.next().time_since_epoch()
                                                  : rules::never;
    }

    /// With access.
    expiry<Clock> take_counted() noexcept {
      const std::uint64_t n = this->count();
      this->set_count(0);
      if (n != 0 && schedule_.interval() == nanoseconds::zero()) is_armed_ = false;
      return schedule_.take(n);
    }

    /// With access, and nothing is heard: counts all that is due, and has the kernel tell of what
    /// comes then, in phase. What it would have told of the rest is dropped (P4).
    void catch_up() noexcept {
      is_at_rest_ = false;
      this->set_count(std::max(this->count(), due()));
      const nanoseconds interval = schedule_.interval();
      if (interval == nanoseconds::zero() && this->count() != 0) {
        (void)settime(false, interval, interval);
      } else {
        const auto [absolute, value] = schedule_.after(this->count());
        (void)settime(absolute, value, interval);
      }
    }

    /// With the bridge locked.
    void wake_up() {
      const user::service::access locked{this->host()};
      if (is_at_rest_) catch_up();
    }

    void forked() noexcept override { this->vanish(); }  // P10
    void host_is_going() noexcept override { signal_bridge::get().forget(ticket_); }

    void heard(std::uint64_t expirations) noexcept override {
      const user::service::access locked{this->host()};
      // Kernels before 6.13 may still tell of an earlier setting. (The clock of a thread that has
      // ended reads 0: then the kernel's word counts.)
      if (!can_be_set(Clock::kind) &&
          (Clock::kind != clock_kind::thread_cpu || chime::exists(thread_)))
        expirations = std::min(expirations, due() - this->count());
      const bool again = this->count() != 0;
      this->add(expirations);
      // (CPU timers expire once a tick at most.)
      if (again && !counts_cpu(Clock::kind))
        is_at_rest_ = settime(false, nanoseconds::zero(), nanoseconds::zero()).has_value();
    }

    [[nodiscard]] shim::result<shim::itimerspec> settime(bool absolute, nanoseconds value,
                                                         nanoseconds interval) const noexcept {
      return shim::timer_settime(
          *timer_, absolute ? shim::timer_set_flags::abstime : shim::timer_set_flags::none,
          {to_timespec<shim::timespec>(interval), to_timespec<shim::timespec>(value)});
    }

    /// With the bridge locked.
    [[nodiscard]] bool is_gone(error_code& ec) const noexcept {
      const bool gone = !signal_bridge::get().knows(ticket_);
      ec = gone ? error::invalid_argument() : error_code{};
      return gone;
    }

    /// With access: of a one-shot timer that is due nothing is left (P7), whether or not the kernel, which
    /// says 1 ns until then, has found out.
    [[nodiscard]] setting<Clock> as_told(const shim::itimerspec& t) const noexcept {
      const auto left = setting<Clock>::after(from_timespec(t.it_value).value_or(rules::never),
                                              from_timespec(t.it_interval).value_or(rules::never));
      const bool is_over =
          left.value == nanoseconds{1} && left.interval == nanoseconds::zero() && due() != 0;
      return is_over ? setting<Clock>::disarmed() : left;
    }

    std::uint32_t ticket_ = 0;
    shim::posix_timer timer_;
    thread_clock thread_;
    detail::schedule<Clock> schedule_;
    bool is_armed_ = false;
    bool is_at_rest_ = false;  // disarmed, until somebody asks
  };

  void open(const boost::asio::any_io_executor& executor, thread_clock thread, error_code& ec) {
    auto& context = boost::asio::query(executor, boost::asio::execution::context);
    timer_.emplace(boost::asio::use_service<user::service>(context), executor, thread, ec);
    if (ec) timer_.reset();
  }

  std::optional<bridged> timer_;
};

}  // namespace chime::kernel
