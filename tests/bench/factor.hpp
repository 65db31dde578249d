// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <cstdlib>

namespace bench {

/// What to multiply bounds by that are measured in time, on a machine that is not idle: CHIME_FACTOR, or 1.
inline double factor() {
  const char* const given = std::getenv("CHIME_FACTOR");
  return given ? std::atof(given) : 1.0;
}

}  // namespace bench
