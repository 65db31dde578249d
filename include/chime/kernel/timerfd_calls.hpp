// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/schedule.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/read_clock.hpp>
#include <chime/setting.hpp>
#include <chime/shim/timerfd_calls.hpp>

#include <poll.h>

#include <cerrno>
#include <cstdint>

namespace chime::kernel {

/// A timerfd by its system calls, whoever has the descriptor and however that is waited for. Does not
/// lock.
template <class Clock>
class timerfd_calls {
 public:
  /// timerfd_create(2): a disarmed timer, non-blocking and close-on-exec.
  [[nodiscard]] static shim::descriptor create(error_code& ec) noexcept {
    using shim::timerfd_flags;
    return shim::timerfd_create(shim::id_of(Clock::kind),
                                timerfd_flags::nonblock | timerfd_flags::cloexec, ec);
  }

  /// timerfd_settime(2). Returns the old setting: time remaining and interval.
  ///
  /// ECANCELED comes back as error::clock_was_set(), and the timer is armed all the same.
  setting<Clock> set(int fd, const setting<Clock>& wanted, error_code& ec) {
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
        fd, flags,
        {to_timespec<shim::timespec>(wanted.interval), to_timespec<shim::timespec>(value)}, ec);
    ec = translate(ec);
    if (!ec || ec == error::clock_was_set()) schedule_ = planned;
    return ec ? setting<Clock>{} : from_kernel(old);
  }

  /// timerfd_gettime(2): time remaining and interval.
  static setting<Clock> get(int fd, error_code& ec) {
    const auto now = shim::timerfd_gettime(fd, ec);
    return ec ? setting<Clock>{} : from_kernel(now);
  }

  /// read(2): the expirations that nobody took; none of them is no error but zero.
  expiry<Clock> take(int fd, error_code& ec) {
    const std::uint64_t count = shim::timerfd_read(fd, ec);
    if (!ec) return schedule_.take(count);
    take_nothing(fd, ec);
    return {};
  }

  /// Whether a take() would not come back empty-handed: poll(2).
  [[nodiscard]] static bool is_ready(int fd) {
    ::pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&readable, 1, 0) == 1;
  }

  /// Blocks the calling thread until a take() may succeed. Signals do not end it.
  static void wait_ready(int fd, error_code& ec) {
    ::pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    int status;
    do status = ::poll(&readable, 1, -1);
    while (status == -1 && errno == EINTR);
    ec = status == -1 ? shim::last_error() : error_code{};
  }

 private:
  static setting<Clock> from_kernel(const shim::itimerspec& t) noexcept {
    return setting<Clock>::after(from_timespec(t.it_value).value_or(rules::never),
                                 from_timespec(t.it_interval).value_or(rules::never));
  }

  [[gnu::noinline, gnu::cold]] void take_nothing(int fd, error_code& ec) noexcept {
    if (ec.value() == EAGAIN) return ec.clear();
    if (ec.value() == ECANCELED) find_place(fd);
    ec = translate(ec);
  }

  /// After a read that has thrown a count away (F10). If the timer goes on, what is left until its
  /// next deadline tells which that is, unless the interval is shorter than it takes to ask.
  void find_place(int fd) noexcept {
    const nanoseconds before = read_clock(Clock::kind);
    error_code ignored;
    const nanoseconds left = from_kernel(shim::timerfd_gettime(fd, ignored)).value;
    if (left > nanoseconds::zero()) schedule_.skip_to(rules::saturating_add(before, left));
  }

  static error_code translate(error_code ec) noexcept {
    return ec.value() == ECANCELED ? error::clock_was_set() : ec;
  }

  detail::schedule<Clock> schedule_;
};

}  // namespace chime::kernel
