// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// timerfd_create(2) and its relatives, typed, as functions that return a result. Each is one system call and
/// retries nothing. Thread safety: as the kernel's, any call from any thread. What they do and refuse is said
/// with their other form, which sets an error_code (timerfd_calls.hpp).

#include <chime/shim/descriptor.hpp>
#include <chime/shim/result.hpp>
#include <chime/shim/timerfd_calls.hpp>
#include <chime/shim/types.hpp>

#include <sys/ioctl.h>

#include <cstdint>

// <linux/timerfd.h>, which has it, and glibc's header cannot both be included.
#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, std::uint64_t)
#endif

namespace chime::shim {

[[nodiscard]] inline result<descriptor> timerfd_create(clock_id clock,
                                                       timerfd_flags flags) noexcept {
  return as_result([&](error_code& ec) { return timerfd_create(clock, flags, ec); });
}

[[nodiscard]] inline result<itimerspec> timerfd_settime(int fd, timerfd_set_flags flags,
                                                        const itimerspec& setting) noexcept {
  return as_result([&](error_code& ec) { return timerfd_settime(fd, flags, setting, ec); });
}

[[nodiscard]] inline result<itimerspec> timerfd_gettime(int fd) noexcept {
  return as_result([&](error_code& ec) { return timerfd_gettime(fd, ec); });
}

[[nodiscard]] inline result<std::uint64_t> timerfd_read(int fd) noexcept {
  return as_result([&](error_code& ec) { return timerfd_read(fd, ec); });
}

/// ioctl TFD_IOC_SET_TICKS: sets the count and wakes readers. EINVAL: `expirations` is 0.
/// ENOTTY: a kernel without CONFIG_CHECKPOINT_RESTORE, and every 64-bit kernel for a 32-bit program.
[[nodiscard]] inline result<void> timerfd_set_ticks(int fd, std::uint64_t expirations) noexcept {
  return answer(::ioctl(fd, TFD_IOC_SET_TICKS, &expirations));
}

}  // namespace chime::shim
