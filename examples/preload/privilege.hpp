// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include "kernel.hpp"

#include <linux/capability.h>

namespace preload {

/// Whether the program has a capability: CAP_WAKE_ALARM is what the alarm clocks' timers need, CAP_SYS_TIME who
/// sets a clock.
inline bool has_capability(unsigned which) noexcept {
  ::__user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  ::__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (raw(SYS_capget, &header, data) != 0) return false;
  return (data[which / 32].effective >> (which % 32) & 1) != 0;
}

}  // namespace preload
