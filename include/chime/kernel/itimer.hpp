// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/schedule.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/itimer_kind.hpp>
#include <chime/kernel/bridged_timer.hpp>
#include <chime/kernel/signal_bridge.hpp>
#include <chime/setting.hpp>
#include <chime/shim/itimer.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>

#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

namespace chime::kernel {

/// An interval timer of the process, kept by the Linux kernel: rules I.
///
/// It takes the timer and its signal (SIGALRM, SIGVTALRM, SIGPROF) from whoever had them, and gives
/// handler and setting back when it is closed. The signal is accepted at once, on some thread that
/// does not block it; what the kernel does not report of a REAL timer is worked out (I4), and while
/// nobody takes what it told, it rests. VIRTUAL and PROF tell once a tick at most and then count
/// one, however many intervals passed: a starved one catches up (I5). As their signals do not
/// queue, some are lost where no thread that does not block them gets to run.
///
/// Settings are relative and in microseconds, rounded up; an absolute one is EINVAL. One of each
/// kind at a time: to open a second fails with EBUSY. After a fork the child's is disarmed.
template <itimer_kind Kind>
class itimer {
 public:
  using clock_type = itimer_clock<Kind>;

  itimer(const boost::asio::any_io_executor& executor, error_code& ec) {
    auto& context = boost::asio::query(executor, boost::asio::execution::context);
    timer_.emplace(boost::asio::use_service<user::service>(context), executor, ec);
    if (ec) timer_.reset();
  }

  /// setitimer(2). Returns the old setting: time remaining and interval.
  setting<clock_type> set(const setting<clock_type>& wanted, error_code& ec) {
    return timer_->set(wanted, ec);
  }

  /// getitimer(2): time remaining, and interval.
  setting<clock_type> get(error_code& ec) { return timer_->get(ec); }

  /// The expirations that nobody took; none of them is no error but zero.
  expiry<clock_type> take(error_code& ec) {
    ec = {};
    return timer_->take();
  }

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

 private:
  static constexpr bool is_real = Kind == itimer_kind::real;

  // What a 32-bit kernel takes at most, 68 years; nobody sees a timer set to more expire.
  static constexpr nanoseconds longest = sizeof(::timeval::tv_sec) < 8
                                             ? std::chrono::seconds{std::numeric_limits<int>::max()}
                                             : rules::never;

  class bridged final : public bridged_timer {
   public:
    bridged(user::service& host, const boost::asio::any_io_executor& executor, error_code& ec)
        : bridged_timer{host, executor} {
      this->join();  // first: once it is claimed, nothing may fail
      try {
        ec = signal_bridge::get().claim(Kind, *this);
        is_mine_ = !ec;
      } catch (...) {
        this->leave();
        throw;
      }
    }
    ~bridged() {
      if (is_mine_) signal_bridge::get().unclaim(Kind);
      this->leave();
    }

    setting<clock_type> set(const setting<clock_type>& wanted, error_code& ec) {
      if (wanted.is_absolute() || !rules::is_valid(wanted.value, wanted.interval)) {
        ec = error::invalid_argument();
        return {};
      }
      const std::lock_guard unheard{signal_bridge::get()};
      ec = signal_bridge::get().ensure_thread();
      if (ec) return {};
      signal_bridge::get().hear(Kind);  // or it would count for the new setting
      if (is_real) (void)signal_bridge::real_was_taken();
      const nanoseconds start = clock_type::now().time_since_epoch();
      const auto old = shim::setitimer(
          shim::id_of(Kind), {to_timeval<shim::timeval>(std::min(wanted.interval, longest)),
                              to_timeval<shim::timeval>(std::min(wanted.value, longest))});
      ec = old ? error_code{} : old.error();
      if (!old) return {};  // the earlier setting stands
      // CPU timers get a tick more than asked for (I5): the kernel says how much.
      const setting<clock_type> now = from_kernel(shim::getitimer(shim::id_of(Kind)).value());
      const nanoseconds value = is_real ? whole_micros(wanted.value) : now.value;

      const user::service::access locked{this->host()};
      const setting<clock_type> before = as_told(from_kernel(*old));
      left_over_ = take_counted();  // what is pending stays so (I6)
      if (left_over_.expirations != 0) left_over_.expirations = 1;
      schedule_ = detail::schedule<clock_type>{setting<clock_type>::at(
          typename clock_type::time_point{rules::saturating_add(start, value)},
          whole_micros(wanted.interval))};
      is_armed_ = wanted.is_armed();
      // Of that nobody may have told yet, and the signal will be taken for the new setting's.
      if (left_over_.expirations != 0) this->tell();
      return before;
    }

    setting<clock_type> get(error_code& ec) {
      const auto left = shim::getitimer(shim::id_of(Kind));
      ec = left ? error_code{} : left.error();
      const user::service::access locked{this->host()};
      return left ? as_told(from_kernel(*left)) : setting<clock_type>{};
    }

    expiry<clock_type> take() {
      const user::service::access locked{this->host()};
      const auto got = take_counted();
      if (is_real) go_on();
      return got;
    }

   private:
    /// With access: REAL says 0 while its signal is pending (I4), which here is until it is taken.
    [[nodiscard]] setting<clock_type> as_told(setting<clock_type> s) const noexcept {
      if (is_real && due() != 0) return setting<clock_type>::after({}, schedule_.interval());
      if (schedule_.interval() > longest) s.interval = schedule_.interval();
      if (!is_armed_) return s;
      const nanoseconds left = rules::remaining(schedule_.next().time_since_epoch(),
                                                clock_type::now().time_since_epoch());
      if (left > longest) s.value = left;
      // At rest, though what made it so has been taken meanwhile: it goes on as soon as that is heard.
      if (is_real && s.value == nanoseconds::zero())
        s = setting<clock_type>::after(std::max(floor_micros(left), nanoseconds{1000}),
                                       schedule_.interval());
      return s;
    }

    expiry<clock_type> take_counted() noexcept {
      // Of REAL all of them, though the kernel tells of one (I4).
      const std::uint64_t n = is_real ? due() : this->count();
      this->set_count(0);
      const auto old = std::exchange(left_over_, {});
      if (n == 0) return old;
      if (schedule_.interval() == nanoseconds::zero()) is_armed_ = false;
      auto got = schedule_.take(n);
      if (is_real) return got;
      // The kernel goes by the ticks it has seen, which is not quite what the clock says.
      got.scheduled = std::min(got.scheduled, clock_type::now());
      got.expirations += old.expirations;
      return got;
    }

    [[nodiscard]] std::uint64_t due() const noexcept { return is_armed_ ? schedule_.due() : 0; }
    bool has_more() const noexcept override {
      return left_over_.expirations != 0 || (is_real && due() != 0);
    }

    void heard(std::uint64_t signals) noexcept override {
      const user::service::access locked{this->host()};
      if (!is_real)
        this->add(signals);
      else if (due() == 0)  // it was taken before it was heard
        go_on();
      else if (this->count() == 0)
        this->add(1);
    }

    /// With access: all of REAL has been taken, so its signals are wanted again.
    void go_on() noexcept {
      if (!signal_bridge::real_was_taken() || !is_armed_) return;
      const nanoseconds left = rules::remaining(schedule_.next().time_since_epoch(),
                                                clock_type::now().time_since_epoch());
      (void)shim::setitimer(
          shim::id_of(Kind),
          {to_timeval<shim::timeval>(std::min(schedule_.interval(), longest)),
           to_timeval<shim::timeval>(std::max(left, nanoseconds{1}))});  // rounds up to 1 us
    }

    void host_is_going() noexcept override { signal_bridge::get().forget(Kind); }

    void forked() noexcept override {
      this->set_count(0);
      left_over_ = {};
      is_armed_ = false;
    }

    static nanoseconds floor_micros(nanoseconds d) noexcept {
      return std::chrono::floor<std::chrono::microseconds>(d);
    }
    static nanoseconds whole_micros(nanoseconds d) noexcept {
      return *from_timeval(to_timeval<shim::timeval>(d));
    }
    static setting<clock_type> from_kernel(const shim::itimerval& t) noexcept {
      return setting<clock_type>::after(from_timeval(t.it_value).value_or(rules::never),
                                        from_timeval(t.it_interval).value_or(rules::never));
    }

    bool is_mine_ = false;
    bool is_armed_ = false;
    detail::schedule<clock_type> schedule_;
    expiry<clock_type> left_over_;  // of the setting before
  };

  std::optional<bridged> timer_;
};

}  // namespace chime::kernel
