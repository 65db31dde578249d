// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/engine/base.hpp>
#include <chime/read_clock.hpp>

#include <chrono>

namespace chime::engine {

using std::chrono::nanoseconds;

/// Where the scheduler reads the time.
class time_source {
 public:
  /// The time on a base now. `thread` counts for base::thread_cpu alone: whose time.
  [[nodiscard]] virtual nanoseconds now(base on, thread_clock thread = {}) const noexcept = 0;

 protected:
  ~time_source() = default;
};

}  // namespace chime::engine
