// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <ctime>

namespace support {

/// The CPU time that the process takes for `f()`, in seconds: stalls of the machine do not count. And a
/// millisecond, for how coarse the clock may be.
template <class Function>
double cpu_seconds(Function f) {
  const auto begin = std::clock();
  f();
  return 1e-3 + static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

}  // namespace support
