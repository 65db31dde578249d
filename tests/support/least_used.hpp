// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <algorithm>
#include <chrono>

namespace support {

inline constexpr int goes = 5;

/// The least CPU time that `f` takes of so many goes, by a clock that counts it. (Where a virtual machine stands
/// still, whoever runs there is charged for it: tens of milliseconds at times.)
template <class CpuClock, class Function>
std::chrono::nanoseconds least_used(Function f) {
  auto least = std::chrono::nanoseconds::max();
  for (int i = 0; i < goes; ++i) {
    const auto before = CpuClock::now();
    f();
    least = std::min<std::chrono::nanoseconds>(least, CpuClock::now() - before);
  }
  return least;
}

}  // namespace support
