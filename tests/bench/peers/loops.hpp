// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

namespace chime::bench {

/// Registers the workloads of whole event loops: timers that are waited for.
void add_loops();

}  // namespace chime::bench
