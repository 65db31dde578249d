// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <cstdio>

namespace support {

/// Says that a test, or part of it, cannot run here. cmake/test.sh lists these lines.
inline void skipped(const char* what_it_needs) { std::printf("SKIPPED: %s\n", what_it_needs); }

}  // namespace support
