// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace support {

/// A generator for a random test. Prints its seed; CHIME_SEED=<seed> in the environment repeats the run.
inline std::mt19937_64 seeded(const char* test) {
  const char* const given = std::getenv("CHIME_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("%s: CHIME_SEED=%llu\n", test, static_cast<unsigned long long>(seed));
  return std::mt19937_64{seed};
}

/// Uniform in [low, high].
template <class Int>
Int pick(std::mt19937_64& random, Int low, Int high) {
  return std::uniform_int_distribution<Int>{low, high}(random);
}

}  // namespace support
