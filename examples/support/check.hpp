// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace example {

/// An example asserts what it claims: where a claim does not hold it says so and fails.
inline void check(bool holds, std::string_view claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(claim.size()), claim.data());
  std::exit(1);
}

/// Whether the program was started with --ci: be brief, and do not draw on a terminal.
inline bool in_ci(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (std::string_view{argv[i]} == "--ci") return true;
  return false;
}

}  // namespace example
