// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock.hpp>
#include <chime/detail/outstanding_work.hpp>
#include <chime/engine/base.hpp>
#include <chime/engine/timer_spec.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/read_clock.hpp>
#include <chime/rules.hpp>
#include <chime/setting.hpp>
#include <chime/user/hosted_timer.hpp>
#include <chime/user/operation.hpp>
#include <chime/user/service.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace chime::user {

/// What a take of a model brought, whatever kind of timer it is.
struct taken {
  engine::status error = engine::status::ok;
  std::uint64_t expirations = 0;
  nanoseconds scheduled{};  // when the last of them was due, on the model's base
};

/// A timer kept by the engine: a facility, as the kernel's are. A model under the service of its
/// context.
///
/// Where the kernel reads its clock in a system call, this reads it with access to the service; so
/// setting, asking and expiring come one after another here, too.
///
/// \tparam Kind what tells one kind of timer from another: its clock and model, how it is opened,
///         set and taken
template <class Kind>
class kept {
 public:
  using clock_type = typename Kind::clock_type;

  kept(const boost::asio::any_io_executor& executor, error_code& ec) {
    open(executor, clock_of_this_thread(), ec);
  }

  /// On the CPU time of the given thread. EINVAL: there is none.
  kept(const boost::asio::any_io_executor& executor, error_code& ec, thread_clock thread)
    requires(clock_type::kind == clock_kind::thread_cpu)
  {
    ec = exists(thread) ? error_code{} : error::invalid_argument();
    if (!ec) open(executor, thread, ec);
  }

  /// Whether the engine is to keep every timer of the executor's context: where time is virtual.
  [[nodiscard]] static bool is_wanted(const boost::asio::any_io_executor& executor) {
    auto& context = boost::asio::query(executor, boost::asio::execution::context);
    return boost::asio::has_service<service>(context) &&
           boost::asio::use_service<service>(context).virtual_clocks() != nullptr;
  }

  /// Whether time is virtual: then a wait is no work, wherever it stands.
  [[nodiscard]] bool is_virtual() const noexcept { return timer_->is_virtual(); }

  /// Whether only ever one thread uses the timer, and runs what waits for it.
  [[nodiscard]] bool is_single_threaded() const noexcept {
    return timer_ && timer_->is_single_threaded();
  }

  /// Sets the timer. Returns the old setting: time remaining and interval.
  setting<clock_type> set(const setting<clock_type>& wanted, error_code& ec) {
    return timer_->set(wanted, ec);
  }

  /// Time remaining and interval.
  setting<clock_type> get(error_code& ec) { return timer_->get(ec); }

  /// The expirations that nobody took; none of them is no error but zero.
  expiry<clock_type> take(error_code& ec) { return timer_->take(ec); }

  /// Whether a take() would not come back empty-handed.
  [[nodiscard]] bool is_ready() { return timer_->has_expired(); }

  /// Calls `handler(error_code)` once, never from within this function, when a take() may succeed.
  /// One such wait at a time.
  template <class Handler>
  void async_ready(Handler&& handler) {
    timer_->async_ready(std::forward<Handler>(handler));
  }

  /// A wait that lives in memory of whoever begins it, and the beginning of one: as async_ready(),
  /// without memory of its own. Only where may_resume(): on the executor of an io_context itself.
  using embedded_wait = resumption;
  [[nodiscard]] bool may_resume() const noexcept { return timer_->may_resume(); }
  void begin(embedded_wait& wait) { timer_->begin(wait); }

  /// Blocks the calling thread until a take() may succeed. Signals do not end it. In virtual time
  /// it fails with EDEADLK: there nothing moves while somebody waits.
  void wait_ready(error_code& ec) { timer_->wait_ready(ec); }

  /// Ends the wait begun by async_ready() with operation_aborted.
  void cancel() { timer_->cancel(); }

  /// Ends the wait as cancel() does. Nothing may be called any more.
  void close() { timer_.reset(); }

  /// The time on the timer's clock, as its keeper sees it.
  [[nodiscard]] typename clock_type::time_point now() { return timer_->now(); }

  /// How much later than its deadline a wait may complete.
  [[nodiscard]] nanoseconds tolerance() const { return timer_->tolerance(); }
  void set_tolerance(nanoseconds tolerance) { timer_->set_tolerance(tolerance); }

 private:
  class hosted final : public hosted_timer {
   public:
    hosted(service& host, const boost::asio::any_io_executor& executor, thread_clock thread,
           error_code& ec)
        : host_{host}, executor_{executor}, permit_{host, ec} {
      const service::access locked{host_};
      const auto line = [&](reference from) {
        return &host_.scheduler().line(Kind::line_for(from), thread);
      };
      relative_ = line(reference::relative);
      absolute_ = line(reference::absolute);
      host_.add(*this, executor_, *absolute_);
      ++relative_->users;
      ++absolute_->users;
      may_resume_ = detail::plain(executor_) != nullptr;
    }
    ~hosted() {
      const service::access locked{host_};
      host_.remove(*this);
      --relative_->users;
      --absolute_->users;
    }

    setting<clock_type> set(const setting<clock_type>& wanted, error_code& ec) {
      const service::access locked{host_};
      if (is_gone(ec)) return {};
      if (!has_clock()) {
        const bool is_valid = rules::is_valid(wanted.value, wanted.interval);
        ec = is_valid ? error::from_errno(ESRCH) : error::invalid_argument();
        return {};
      }
      if (Kind::wants_clock(wanted)) host_.begin_clock_watch();
      const nanoseconds here = host_.settle(*this);
      engine::time_line& wanted_line =
          wanted.counted_from == reference::relative ? *relative_ : *absolute_;
      const nanoseconds there = &wanted_line == &line() ? here : host_.scheduler().now(wanted_line);
      const engine::set_result result =
          Kind::set(model_, engine::new_setting{wanted}, {here, there});
      ec = to_error(result.error);
      if (result.error == engine::status::invalid) return {};  // the earlier setting stands
      wants_clock_ = Kind::wants_clock(wanted);
      // (A setting that disarms need not take it to the base that it names.)
      engine::time_line& on = model_.filed_on() == relative_->on() ? *relative_ : *absolute_;
      if (&on != &line()) host_.move(*this, on);
      host_.file(*this, true);
      return ec ? setting<clock_type>{} : as_told(result.old);
    }

    setting<clock_type> get(error_code& ec) {
      const service::access locked{host_};
      if (is_gone(ec) || !has_clock()) return {};
      const engine::timer_spec left = model_.gettime(host_.settle(*this));
      host_.file(*this);
      return as_told(left);
    }

    expiry<clock_type> take(error_code& ec) {
      const service::access locked{host_};
      if (is_gone(ec)) return {};
      const nanoseconds now = host_.settle(*this);
      const taken got = Kind::take(model_, now);
      host_.file(*this);
      ec = got.error == engine::status::again ? error_code{} : to_error(got.error);
      if (got.expirations == 0) return {};
      return {got.expirations, on_clock(got.scheduled, now)};
    }

    [[nodiscard]] bool has_expired() {
      const service::access locked{host_};
      host_.settle(*this);
      return is_ready();
    }

    template <class Handler>
    void async_ready(Handler&& handler) {
      const detail::work_of work = host_.work(detail::covered::context);
      std::unique_ptr<operation, destroy_operation> op{
          make_operation(executor_, host_, work, std::forward<Handler>(handler))};
      const service::access locked{host_};
      if (wants_clock_) host_.settle(*this);
      host_.wait(*this, *op);
      (void)op.release();
    }

    [[nodiscard]] bool is_virtual() const noexcept { return host_.virtual_clocks() != nullptr; }

    [[nodiscard]] bool is_single_threaded() const noexcept { return host_.is_single_threaded(); }

    [[nodiscard]] bool may_resume() const noexcept { return may_resume_; }
    void begin(resumption& op) {
      const service::access locked{host_};
      if (wants_clock_) host_.settle(*this);
      host_.wait(*this, op);
    }

    void wait_ready(error_code& ec) {
      ec = {};
      for (;;) {
        nanoseconds nap;
        {
          const service::access locked{host_};
          host_.settle(*this);
          if (is_ready() || !exists_) return;
          if (is_virtual()) {
            ec = error::from_errno(EDEADLK);
            return;
          }
          nap = host_.nap_for(*this);
        }
        std::this_thread::sleep_for(nap);
      }
    }

    void cancel() {
      const service::access locked{host_};
      host_.cancel(*this);
    }

    [[nodiscard]] typename clock_type::time_point now() {
      const service::access locked{host_};
      return typename clock_type::time_point{host_.scheduler().now(*absolute_)};
    }

    void set_tolerance(nanoseconds tolerance) {
      const service::access locked{host_};
      host_.set_tolerance(*this, tolerance);
    }

   private:
    bool expire(nanoseconds now) noexcept override { return model_.expire(now); }
    nanoseconds next_deadline() const noexcept override {
      return exists_ ? model_.next_deadline() : rules::never;
    }
    bool is_ready() const noexcept override { return !exists_ || Kind::is_ready(model_); }
    bool clock_was_set() noexcept override { return Kind::clock_was_set(model_); }
    bool wants_clock() const noexcept override { return wants_clock_; }
    void forked() noexcept override { exists_ = exists_ && Kind::survives_fork(model_); }
    bool wakes_machine() const noexcept override {
      return without_alarm(clock_type::kind) != clock_type::kind;
    }

    /// An instant of the base on the timer's own clock. They differ where the deadline does not
    /// follow the clock's steps (C2): then it is as long ago as it is on the base.
    [[nodiscard]] typename clock_type::time_point on_clock(nanoseconds instant, nanoseconds now) {
      using time_point = typename clock_type::time_point;
      if (line().on() == Kind::line_for(reference::absolute)) return time_point{instant};
      return time_point{host_.scheduler().now(*absolute_) - (now - instant)};
    }

    [[nodiscard]] bool is_gone(error_code& ec) const noexcept {
      ec = exists_ ? error_code{} : error::invalid_argument();
      return !exists_;
    }

    /// Not so of a thread that has ended: its timers cannot be set any more, and are off to whoever
    /// asks (posix_cpu_timer_set() in posix-cpu-timers.c).
    [[nodiscard]] bool has_clock() const noexcept {
      if constexpr (clock_type::kind == clock_kind::thread_cpu)
        return is_virtual() || chime::exists(absolute_->thread());
      else
        return true;
    }

    // Whole microseconds, say, of what is without end are so, too.
    static setting<clock_type> as_told(const engine::timer_spec& left) noexcept {
      return setting<clock_type>::after(rules::as_timed(left.value),
                                        rules::as_timed(left.interval));
    }

    static error_code to_error(engine::status s) noexcept {
      if (s == engine::status::ok) return {};
      if (s == engine::status::canceled) return error::clock_was_set();
      return error::from_errno(static_cast<int>(s));
    }

    // What each expiration needs comes first: of many timers none is in the processor's caches.
    service& host_;
    typename Kind::model_type model_ = Kind::make();
    bool wants_clock_ = false;
    bool may_resume_ = false;
    bool exists_ = true;  // until a fork takes it away

    engine::time_line* relative_;  // where relative and absolute deadlines lie
    engine::time_line* absolute_;
    boost::asio::any_io_executor executor_;
    typename Kind::permit permit_;
  };

  void open(const boost::asio::any_io_executor& executor, thread_clock thread, error_code& ec) {
    auto& context = boost::asio::query(executor, boost::asio::execution::context);
    timer_.emplace(boost::asio::use_service<service>(context), executor, thread, ec);
    if (ec) timer_.reset();
  }

  std::optional<hosted> timer_;
};

}  // namespace chime::user
