// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/error.hpp>

#if defined(__linux__)
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace chime::user {

/// Whether this thread may open timers that wake the machine: without CAP_WAKE_ALARM EPERM (C4);
/// elsewhere than on Linux EOPNOTSUPP, as where there is no RTC.
[[nodiscard]] inline error_code may_wake_machine() noexcept {
#if defined(__linux__)
  ::__user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  ::__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, data) == -1) return error::from_errno(EPERM);
  const bool may =
      (data[CAP_TO_INDEX(CAP_WAKE_ALARM)].effective & CAP_TO_MASK(CAP_WAKE_ALARM)) != 0;
  return may ? error_code{} : error::from_errno(EPERM);
#else
  return error::from_errno(EOPNOTSUPP);
#endif
}

}  // namespace chime::user
