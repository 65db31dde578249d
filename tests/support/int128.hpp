// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/rules.hpp>

#include <cstdint>
#include <limits>

#if !defined(__SIZEOF_INT128__)
#include <boost/multiprecision/cpp_int.hpp>
#endif

/// Arithmetic that cannot overflow, to check 64-bit arithmetic against.
namespace support {

#if defined(__SIZEOF_INT128__)
__extension__ using int128 = __int128;
#else
using int128 = boost::multiprecision::int128_t;
#endif

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
