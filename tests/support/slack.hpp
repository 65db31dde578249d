// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chrono>

namespace support {

/// How late anything that must come may be. Machines stall: an emulator, a host that takes the CPU away, five
/// builds at once. No test depends on being quicker, and none waits this long unless it fails.
inline constexpr std::chrono::milliseconds slack{5000};

}  // namespace support
