// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/engine/base.hpp>
#include <chime/engine/time_source.hpp>
#include <chime/read_clock.hpp>

namespace chime::engine {

/// The system's clocks.
class system_time final : public time_source {
 public:
  [[nodiscard]] nanoseconds now(base on, thread_clock thread) const noexcept override {
    switch (on) {
      case base::realtime: return read_clock(clock_kind::realtime);
      case base::boottime: return read_clock(clock_kind::boottime);
      case base::tai: return read_clock(clock_kind::tai);
      case base::process_cpu: return read_clock(clock_kind::process_cpu);
      case base::user_cpu: return read_clock(clock_kind::user_cpu);
      case base::thread_cpu: return read_clock(thread);
      case base::monotonic: break;
    }
    return read_clock(clock_kind::monotonic);
  }
};

}  // namespace chime::engine
