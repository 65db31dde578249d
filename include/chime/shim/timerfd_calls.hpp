// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// timerfd_create(2) and its relatives, typed, as functions that set an error_code. Each is one system call and
/// retries nothing. Thread safety: as the kernel's, any call from any thread. timerfd.hpp has the same with
/// results, which alone take 5 % of what a timer takes to compile.

#include <chime/shim/descriptor.hpp>
#include <chime/shim/error.hpp>
#include <chime/shim/types.hpp>

#include <sys/timerfd.h>

#include <cstdint>

// <linux/timerfd.h>, which has it, and glibc's header cannot both be included.
#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET (1 << 1)
#endif

namespace chime::shim {

/// Flags of timerfd_create.
enum class timerfd_flags : int { none = 0, nonblock = TFD_NONBLOCK, cloexec = TFD_CLOEXEC };
[[nodiscard]] constexpr timerfd_flags operator|(timerfd_flags a, timerfd_flags b) noexcept {
  return static_cast<timerfd_flags>(static_cast<int>(a) | static_cast<int>(b));
}

/// Flags of timerfd_settime.
enum class timerfd_set_flags : int {
  none = 0,
  abstime = TFD_TIMER_ABSTIME,
  cancel_on_set = TFD_TIMER_CANCEL_ON_SET,
};
[[nodiscard]] constexpr timerfd_set_flags operator|(timerfd_set_flags a,
                                                    timerfd_set_flags b) noexcept {
  return static_cast<timerfd_set_flags>(static_cast<int>(a) | static_cast<int>(b));
}

/// timerfd_create(2): a new, disarmed timer.
/// EINVAL: a clock that timerfd does not keep, or an unknown flag. EPERM: an alarm clock without
/// CAP_WAKE_ALARM. EMFILE, ENFILE, ENOMEM, ENODEV: no room for another descriptor.
[[nodiscard]] inline descriptor timerfd_create(clock_id clock, timerfd_flags flags,
                                               error_code& ec) noexcept {
  const int fd = ::timerfd_create(static_cast<clockid_t>(clock), static_cast<int>(flags));
  ec = error_of(fd);
  return descriptor{fd};
}

/// timerfd_settime(2): arms or disarms, clears the count, and returns the old setting (the time
/// remaining and the interval). EINVAL: a time out of range, an unknown flag, or not a timerfd.
/// EBADF: not open. ECANCELED: the clock was set since the setting before this one, which asked to
/// be told. *The timer is armed all the same* (fs/timerfd.c, do_timerfd_settime).
inline itimerspec timerfd_settime(int fd, timerfd_set_flags flags, const itimerspec& setting,
                                  error_code& ec) noexcept {
#if defined(SYS_timerfd_settime64)
  if constexpr (!clock_detail::libc_is_time64) {
    itimerspec old{};
    ec = error_of(::syscall(SYS_timerfd_settime64, fd, static_cast<int>(flags), &setting, &old));
    return old;
  }
#endif
  const ::itimerspec in = to_libc(setting);
  ::itimerspec out{};
  ec = error_of(::timerfd_settime(fd, static_cast<int>(flags), &in, &out));
  return from_libc(out);
}

/// timerfd_gettime(2): the time remaining and the interval. EINVAL: not a timerfd. EBADF: not open.
[[nodiscard]] inline itimerspec timerfd_gettime(int fd, error_code& ec) noexcept {
#if defined(SYS_timerfd_gettime64)
  if constexpr (!clock_detail::libc_is_time64) {
    itimerspec now{};
    ec = error_of(::syscall(SYS_timerfd_gettime64, fd, &now));
    return now;
  }
#endif
  ::itimerspec out{};
  ec = error_of(::timerfd_gettime(fd, &out));
  return from_libc(out);
}

/// read(2) of a timerfd: takes the expirations. Waits for one where the descriptor is blocking.
/// EAGAIN: none, non-blocking. ECANCELED: the clock was set, and the setting asked to be told; said
/// once. EINTR: a signal came first. The count can be 0 where an absolute periodic timer's clock
/// was set back.
[[nodiscard]] inline std::uint64_t timerfd_read(int fd, error_code& ec) noexcept {
  std::uint64_t expirations = 0;
  ec = error_of(static_cast<long>(::read(fd, &expirations, sizeof expirations)));
  return expirations;
}

}  // namespace chime::shim
