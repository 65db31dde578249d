// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include "support/refuse_timers.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace refused {

/// Fixture: from the first test on the kernel refuses its timers. A program of its own, for that
/// cannot be undone.
struct no_timers {
  no_timers() {
    static const bool refused = support::refuse_timers(support::refused::all_timers, EPERM);
    if (!refused) {
      std::puts("SKIPPED: no seccomp filter can be installed here");
      std::exit(77);
    }
  }
};

}  // namespace refused
