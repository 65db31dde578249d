// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/rules.hpp>

#include <cstdint>
#include <limits>

/// Arithmetic that cannot overflow, to check 64-bit arithmetic against. Tests that need it are left out where the
/// compiler has no 128-bit integers.
#if defined(__SIZEOF_INT128__)
namespace support {

__extension__ using int128 = __int128;

constexpr int128 floor_div(int128 a, int128 b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
constexpr int128 ceil_div(int128 a, int128 b) { return -floor_div(-a, b); }

/// Held at the ends of signed 64-bit nanoseconds.
constexpr chime::rules::nanoseconds saturated(int128 exact) {
  using limits = std::numeric_limits<std::int64_t>;
  if (exact > limits::max()) return chime::rules::nanoseconds::max();
  if (exact < limits::min()) return chime::rules::nanoseconds::min();
  return chime::rules::nanoseconds{static_cast<std::int64_t>(exact)};
}

}  // namespace support
#endif
