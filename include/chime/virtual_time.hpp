// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Time under the control of a test: a day passes in microseconds, and the same way in every run.

#include <chime/clock.hpp>
#include <chime/duration.hpp>
#include <chime/engine/base.hpp>
#include <chime/engine/virtual_clocks.hpp>
#include <chime/error.hpp>
#include <chime/rules.hpp>
#include <chime/user/service.hpp>

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/require.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <utility>

namespace chime {

/// Where virtual clocks begin. TAI is ahead of realtime by the offset of 2017.
struct virtual_epoch {
  std::chrono::sys_time<nanoseconds> realtime =
      std::chrono::sys_days{std::chrono::year{2000} / 1 / 1};
  nanoseconds monotonic = std::chrono::hours{1};  ///< and boottime
  nanoseconds tai_offset = std::chrono::seconds{37};
};

/// Makes the time of an io_context virtual: every timer that is opened in it from then on stands
/// still until somebody moves the clocks, here.
///
///     asio::io_context context;
///     chime::virtual_time time{context};
///     asio::co_spawn(time.get_executor(), program(), asio::detached);
///     time.advance(24h);  // runs the program through a day
///
/// That goes for timers of the default facilities and of `user::`; those of `kernel::` are the
/// kernel's, and so is a timerfd that was opened before. The context's time remains virtual when the
/// object is gone, and stands; another object goes on from there, whatever its epoch. A program
/// under test reads `timer.now()` or `time.now<Clock>()`: `Clock::now()` is the system's time.
///
/// Whatever moves the clocks stops at each deadline on the way, exactly there, and runs all
/// handlers that are ready before it goes on.
///
/// Thread safety: one thread, which alone runs the context, and not from one of its handlers.
class virtual_time {
 public:
  /// \par Errors
  /// EBUSY: the context has timers already that go by the system's clocks: any but timerfds of the
  /// kernel's.
  explicit virtual_time(boost::asio::io_context& context, const virtual_epoch& epoch = {})
      : context_{context}, service_{boost::asio::use_service<user::service>(context)} {
    error_code ec;
    service_.install({epoch.monotonic, epoch.realtime.time_since_epoch(), epoch.tai_offset},
                     context.get_executor(), ec);
    if (ec) throw system_error{ec, "chime virtual_time"};
  }
  virtual_time(const virtual_time&) = delete;
  virtual_time& operator=(const virtual_time&) = delete;

  class executor_type;

  /// An executor of the context for the program under test. The context's own counts each coroutine
  /// that it spawned as work, whatever that waits for; this does not, so that run_until_idle() can
  /// tell for sure whether any real work is outstanding.
  [[nodiscard]] executor_type get_executor() const noexcept;

  /// The virtual time on a clock.
  template <class Clock>
  [[nodiscard]] typename Clock::time_point now() const {
    return
        typename Clock::time_point{clocks().now(engine::base_of(Clock::kind, reference::absolute))};
  }

  /// Lets time pass on all clocks but the CPU's. Negative durations are no time.
  template <class Rep, class Period>
  void advance(std::chrono::duration<Rep, Period> duration) {
    const auto exact = to_nanoseconds(duration);
    if (exact) pass(*exact);
  }

  /// Lets time pass until a clock shows `when`.
  template <class Clock, class Duration>
  void advance_to(std::chrono::time_point<Clock, Duration> when) {
    using chime_clock =
        std::conditional_t<std::is_same_v<Clock, std::chrono::system_clock>, realtime_clock, Clock>;
    const auto exact = to_nanoseconds(when.time_since_epoch());
    if (exact) pass(rules::remaining(*exact, now<chime_clock>().time_since_epoch()));
  }

  /// Runs whatever can run, and when nothing can lets time pass to the next deadline, again and
  /// again as long as somebody waits for one. A program that never ends keeps it running for ever:
  /// see advance(). A handler that stops the context ends it.
  ///
  /// Time does not pass while real work is outstanding: handlers that are ready, I/O, threads that
  /// will post. That is whatever the context counts as work besides chime's waits; but it counts
  /// coroutines, too. So spawn the program on get_executor(): from then on what is left is real,
  /// and is waited for however long it takes. A program that lives on the context itself leaves it
  /// open whether there is anything to wait for. Then work gets `patience` of real time to show
  /// itself, and again each time that something came; what takes longer is to be announced by a
  /// `hold`.
  /// A handler that is bound to another context is none of this one's business: take a `hold`.
  /// \return how many handlers the context ran; those of waits that end together may count as one
  std::size_t run_until_idle() {
    std::size_t ran = 0;
    bool is_wary = true;
    while (poll(ran)) {
      const bool is_out_of_work = context_.stopped();
      if (holds_ > 0 || (!is_out_of_work && (is_wary || knows_work_))) {
        const std::size_t before = ran;
        if (!wait_for_work(ran)) break;
        is_wary = ran != before || holds_ > 0;
        continue;
      }
      if (!auto_advance_ || !service_.waits_for_time()) break;
      const nanoseconds left = service_.left(is_wall);
      service_.move_clocks([&](auto& clocks) { clocks.pass(left); });
    }
    return ran;
  }

  /// Whether run_until_idle() lets time pass. If not, it returns when nothing can run any more. On
  /// by default.
  void auto_advance(bool on) noexcept { auto_advance_ = on; }

  /// How long run_until_idle() waits, in real time, for work that need not be real. 50 ms by
  /// default, a day at most.
  void patience(std::chrono::milliseconds real_time) noexcept {
    patience_ = std::clamp<std::chrono::milliseconds>(real_time, {}, std::chrono::hours{24});
  }

  /// Real work that the context does not know of: while one of these is held, run_until_idle() lets
  /// no time pass. May be released by any thread.
  class hold {
   public:
    explicit hold(virtual_time& time) noexcept : holds_{&time.holds_} { ++*holds_; }
    hold(hold&& other) noexcept : holds_{std::exchange(other.holds_, nullptr)} {}
    hold& operator=(hold&&) = delete;
    ~hold() {
      if (holds_) --*holds_;
    }

   private:
    std::atomic<int>* holds_;
  };

  /// Sets the realtime clock; TAI moves with it. Absolute timers that it passes expire, relative
  /// ones are not affected (C2), and those are told that asked for it (F10).
  template <class Duration>
  void set_realtime(std::chrono::sys_time<Duration> now) {
    poll();
    const auto exact = to_nanoseconds(now.time_since_epoch()).value_or(nanoseconds{});
    service_.step_clock([&](auto& clocks) { clocks.step(exact); });
    poll();
  }

  /// Suspends the machine: the monotonic and CPU clocks stand, the others run on, and what comes
  /// due meanwhile expires at its end. That counts as setting the clock (F14). A timer on an alarm
  /// clock ends it early.
  /// \return how long it lasted
  template <class Rep, class Period>
  nanoseconds suspend(std::chrono::duration<Rep, Period> duration) {
    poll();
    const nanoseconds wanted =
        std::max(to_nanoseconds(duration).value_or(nanoseconds{}), nanoseconds{});
    const nanoseconds slept = std::min(wanted, service_.left_to_alarm());
    service_.step_clock([&](auto& clocks) { clocks.sleep(slept); });
    poll();
    return slept;
  }

  /// Has the program use CPU time, first in user mode and then in the system. No time passes on the
  /// other clocks; all thread clocks are one thread's.
  template <class Rep1, class Period1, class Rep2 = Rep1, class Period2 = Period1>
  void use_cpu(std::chrono::duration<Rep1, Period1> user,
               std::chrono::duration<Rep2, Period2> system = {}) {
    poll();
    const auto used = [&](nanoseconds total, auto counts, auto use) {
      while (poll() && total > nanoseconds::zero()) {
        const nanoseconds step = std::min(total, std::max(service_.left(counts), nanoseconds{1}));
        service_.move_clocks([&](auto& clocks) { use(clocks, step); });
        total -= step;
      }
    };
    used(to_nanoseconds(user).value_or(nanoseconds{}), engine::is_cpu,
         [](auto& clocks, nanoseconds d) { clocks.use_cpu(d, {}); });
    used(
        to_nanoseconds(system).value_or(nanoseconds{}),
        [](engine::base on) { return engine::is_cpu(on) && on != engine::base::user_cpu; },
        [](auto& clocks, nanoseconds d) { clocks.use_cpu({}, d); });
  }

 private:
  static bool is_wall(engine::base on) noexcept { return !engine::is_cpu(on); }

  [[nodiscard]] engine::virtual_clocks& clocks() const noexcept {
    return *service_.virtual_clocks();
  }

  /// Runs handlers, and adds how many to `ran`. False if one of them stopped the context. Otherwise
  /// the context is stopped afterwards exactly if it is out of work.
  template <class Run>
  bool run(Run some, std::size_t& ran) {
    const auto work = boost::asio::make_work_guard(context_);
    context_.restart();
    ran += some();
    return !context_.stopped();
  }

  /// Runs all that are ready.
  bool poll(std::size_t& ran) {
    return run([&] { return context_.poll(); }, ran);
  }
  bool poll() {
    std::size_t ignored = 0;
    return poll(ignored);
  }

  /// Waits in real time for a handler to become ready. Not for ever even if there is work for sure:
  /// work that is over wakes nobody if it had no handler, nor does a hold.
  bool wait_for_work(std::size_t& ran) {
    constexpr std::chrono::milliseconds look_again{10};
    const auto longest = knows_work_ || holds_ > 0 ? look_again : patience_;
    return run([&] { return context_.run_one_for(longest); }, ran);
  }

  void pass(nanoseconds duration) {
    while (poll() && duration > nanoseconds::zero()) {
      const nanoseconds step = std::min(duration, std::max(service_.left(is_wall), nanoseconds{1}));
      service_.move_clocks([&](auto& clocks) { clocks.pass(step); });
      duration -= step;
    }
  }

  boost::asio::io_context& context_;
  user::service& service_;
  std::atomic<int> holds_ = 0;
  std::chrono::milliseconds patience_{50};
  bool auto_advance_ = true;
  mutable bool knows_work_ = false;  // whether coroutines are not counted as work
};

/// The context's executor, but whatever tracks work through it is not counted.
class virtual_time::executor_type {
  using plain = boost::asio::io_context::executor_type;

 public:
  template <class Function>
  void execute(Function&& function) const {
    plain_.execute(std::forward<Function>(function));
  }

  [[nodiscard]] boost::asio::io_context& query(boost::asio::execution::context_t) const noexcept {
    return boost::asio::query(plain_, boost::asio::execution::context);
  }
  [[nodiscard]] boost::asio::execution::blocking_t query(
      boost::asio::execution::blocking_t) const noexcept {
    return boost::asio::query(plain_, boost::asio::execution::blocking);
  }
  [[nodiscard]] executor_type require(boost::asio::execution::blocking_t::never_t never) const {
    return executor_type{boost::asio::require(plain_, never)};
  }
  [[nodiscard]] executor_type require(boost::asio::execution::blocking_t::possibly_t may) const {
    return executor_type{boost::asio::require(plain_, may)};
  }

  friend bool operator==(const executor_type&, const executor_type&) noexcept = default;

 private:
  friend class virtual_time;

  explicit executor_type(const plain& executor) noexcept : plain_{executor} {}

  plain plain_;
};

inline virtual_time::executor_type virtual_time::get_executor() const noexcept {
  knows_work_ = true;
  return executor_type{context_.get_executor()};
}

}  // namespace chime
