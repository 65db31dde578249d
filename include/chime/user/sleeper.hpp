// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The engine's one wait at the operating system.

#include <chime/error.hpp>
#include <chime/read_clock.hpp>
#include <chime/rules.hpp>
#include <chime/user/reserved_memory.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/wait_traits.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#if defined(__linux__)
#include <chime/shim/timerfd_calls.hpp>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/posix/descriptor_base.hpp>
#endif

namespace chime::user {

/// Runs what it is given at once, where it is: on whatever thread runs the context. The sleeper has
/// no other executor, for the timers' may be strands.
struct in_place_executor {
  boost::asio::execution_context* context;

  template <class Function>
  void execute(Function&& function) const {
    std::forward<Function>(function)();
  }
  [[nodiscard]] boost::asio::execution_context& query(
      boost::asio::execution::context_t) const noexcept {
    return *context;
  }
  [[nodiscard]] static constexpr boost::asio::execution::blocking_t query(
      boost::asio::execution::blocking_t) noexcept {
    return boost::asio::execution::blocking.always;
  }
  friend bool operator==(const in_place_executor&, const in_place_executor&) noexcept = default;
};

/// Sleeps until a point of the monotonic clock, and on Linux until somebody sets the clock. While
/// it sleeps, the context has work.
///
/// On Linux that is a timerfd, armed absolutely, and once somebody cares for settable clocks a
/// second one that stands to be cancelled (TFD_TIMER_CANCEL_ON_SET). Where there is no timerfd
/// (elsewhere, or because a sandbox refuses it) it is asio::steady_timer.
class sleeper {
 public:
  /// How late one that cannot be told so may notice that the clock was set.
  static constexpr nanoseconds longest_without_watch = std::chrono::seconds{1};

  explicit sleeper(boost::asio::execution_context& context) : steady_{in_place_executor{&context}} {
#if defined(__linux__)
    open(kernel_, clock_kind::monotonic);
#endif
  }

  /// Names one sleep: what it calls may be on its way when it is cancelled.
  using generation = unsigned;

  /// Calls `woke(generation)` once, after the monotonic clock has reached `until`, perhaps sooner.
  /// Sleeping already, it changes its mind about when.
  template <class Woke>
  void sleep(nanoseconds until, Woke woke) {
#if defined(__linux__)
    if (kernel_) {
      // No earlier than 1 ns: 0 would disarm.
      const nanoseconds value = std::max(until, nanoseconds{1});
      error_code ec;
      shim::timerfd_settime(kernel_->native_handle(), shim::timerfd_set_flags::abstime,
                            {{}, to_timespec<shim::timespec>(value)}, ec);
      if (ec) throw system_error{ec, "chime engine"};
      if (is_asleep_) return;
      kernel_->async_wait(boost::asio::posix::descriptor_base::wait_read, waking(woke));
      ++sleep_;
      is_asleep_ = true;
      return;
    }
#endif
    const nanoseconds left = rules::remaining(until, read_clock(clock_kind::monotonic));
    using clock = std::chrono::steady_clock;
    const auto now = clock::now();
    steady_timer next{steady_.get_executor()};
    if (left < clock::time_point::max() - now)
      next.expires_at(now + std::chrono::ceil<clock::duration>(left));
    else
      next.expires_at(clock::time_point::max());
    next.async_wait(waking(woke));  // that may fail: then the earlier sleep goes on
    steady_ = std::move(next);
    ++sleep_;
    is_asleep_ = true;
  }

  [[nodiscard]] bool is_asleep() const noexcept { return is_asleep_; }

  /// Notes that it woke; false if that sleep is none of its any more.
  [[nodiscard]] bool wake(generation sleep) noexcept {
    if (!is_asleep_ || sleep != sleep_) return false;
    is_asleep_ = false;
    return true;
  }

  /// Whether anything will be called.
  [[nodiscard]] bool is_pending() const noexcept { return is_asleep_ || is_watching_; }

  /// Sleeps no more; nothing is called.
  void cancel() {
    if (!is_pending()) return;
    is_asleep_ = false;
    is_watching_ = false;
    error_code ignored;
#if defined(__linux__)
    if (kernel_) kernel_->cancel(ignored);
    if (watch_) watch_->cancel(ignored);
#endif
    steady_.cancel();
  }

  /// Has clock_was_set() know of what comes from now on, where the system tells.
  void open_watch() {
#if defined(__linux__)
    if (!kernel_ || watch_) return;
    open(watch_, clock_kind::realtime);
    if (watch_) arm_watch();
#endif
  }

  /// Calls `set(generation)` once when somebody sets the clock or the machine resumes from suspend,
  /// as long as it sleeps. False where the system does not tell.
  template <class Set>
  bool watch_clock([[maybe_unused]] Set set) {
#if defined(__linux__)
    open_watch();
    if (!watch_) return false;
    if (is_watching_) return true;
    watch_->async_wait(boost::asio::posix::descriptor_base::wait_read,
                       [set, watch = ++watch_number_](error_code ec) {
                         if (!ec) set(watch);
                       });
    is_watching_ = true;
    return true;
#else
    return false;
#endif
  }

  [[nodiscard]] bool is_watching() const noexcept { return is_watching_; }

  /// Notes that the watch is over; false if it was over before.
  [[nodiscard]] bool end_watch(generation watch) noexcept {
    if (!is_watching_ || watch != watch_number_) return false;
    is_watching_ = false;
    return true;
  }

  /// Whether the clock was set since the last time somebody asked. Where the system does not tell,
  /// it is seen by how the clock stands to the one that runs on.
  [[nodiscard]] bool clock_was_set() {
#if defined(__linux__)
    if (watch_) {
      error_code ec;
      (void)shim::timerfd_read(watch_->native_handle(), ec);
      return ec.value() == ECANCELED;  // armed all the same: it will say so again
    }
#endif
    const nanoseconds monotonic = read_clock(clock_kind::monotonic);
    const nanoseconds realtime = read_clock(clock_kind::realtime);
    const nanoseconds passed = monotonic - std::exchange(monotonic_, monotonic);
    const nanoseconds moved = realtime - std::exchange(realtime_, realtime);
    // A clock that is slewed goes wrong by 500 ppm (adjtime(3)), and reading the two takes a while.
    const nanoseconds astray = moved > passed ? moved - passed : passed - moved;
    return std::exchange(has_compared_, true) &&
           astray > std::chrono::milliseconds{2} + passed / 1000;
  }

  /// After fork(2), in the child: a timerfd is shared with the parent, which still needs its own.
  void forked() {
#if defined(__linux__)
    cancel();
    const auto renew = [this](std::optional<descriptor>& d, clock_kind kind) {
      if (!d) return;
      d.reset();
      open(d, kind);
    };
    renew(kernel_, clock_kind::monotonic);
    renew(watch_, clock_kind::realtime);
    if (watch_) arm_watch();
#endif
  }

 private:
  /// The handler of the next sleep.
  template <class Woke>
  auto waking(Woke woke) {
    return boost::asio::bind_allocator(memory_.get_allocator(),
                                       [woke, sleep = sleep_ + 1](error_code ec) {
                                         if (!ec) woke(sleep);
                                       });
  }

  using steady_clock = std::chrono::steady_clock;
  using steady_timer =
      boost::asio::basic_waitable_timer<steady_clock, boost::asio::wait_traits<steady_clock>,
                                        in_place_executor>;

#if defined(__linux__)
  using descriptor = boost::asio::posix::basic_stream_descriptor<in_place_executor>;

  void open(std::optional<descriptor>& out, clock_kind kind) {
    error_code ec;
    auto fd = shim::timerfd_create(shim::id_of(kind), shim::timerfd_flags::cloexec, ec);
    if (ec) return;
    out.emplace(steady_.get_executor());
    out->assign(fd.get(), ec);
    if (!ec) out->non_blocking(true, ec);
    if (ec) {
      out.reset();
      return;
    }
    (void)fd.release();
  }

  void arm_watch() {
    using shim::timerfd_set_flags;
    error_code ignored;
    shim::timerfd_settime(watch_->native_handle(),
                          timerfd_set_flags::abstime | timerfd_set_flags::cancel_on_set,
                          {{}, to_timespec<shim::timespec>(rules::never)}, ignored);
  }

  std::optional<descriptor> kernel_;
  std::optional<descriptor> watch_;
#endif
  reserved_memory memory_;
  steady_timer steady_;
  nanoseconds monotonic_{};
  nanoseconds realtime_{};
  bool has_compared_ = false;
  bool is_asleep_ = false;
  bool is_watching_ = false;
  generation sleep_ = 0;
  generation watch_number_ = 0;
};

}  // namespace chime::user
