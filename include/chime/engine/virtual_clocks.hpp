// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Time that only moves when it is told to.

#include <chime/engine/base.hpp>
#include <chime/engine/time_source.hpp>
#include <chime/rules.hpp>

namespace chime::engine {

/// Clocks that stand until somebody moves them. C1 and C3 say which of them move together:
///
/// |             | monotonic | boottime | realtime, tai | process_cpu, thread_cpu | user_cpu |
/// |-------------|-----------|----------|---------------|-------------------------|----------|
/// | pass        | moves     | moves    | move          |                         |          |
/// | sleep       |           | moves    | move          |                         |          |
/// | step        |           |          | move          |                         |          |
/// | use_cpu     |           |          |               | user + system           | user     |
///
/// Nothing wraps: at the end of time the clocks stand.
class virtual_clocks final : public time_source {
 public:
  constexpr virtual_clocks(nanoseconds monotonic, nanoseconds realtime,
                           nanoseconds tai_offset) noexcept
      : monotonic_{monotonic}, boottime_{monotonic}, realtime_{realtime}, tai_offset_{tai_offset} {}

  [[nodiscard]] constexpr nanoseconds now(base on, thread_clock = {}) const noexcept override {
    switch (on) {
      case base::monotonic: return monotonic_;
      case base::boottime: return boottime_;
      case base::realtime: return realtime_;
      case base::tai: return rules::saturating_add(realtime_, tai_offset_);
      case base::process_cpu:
      case base::thread_cpu: return rules::saturating_add(user_, system_);
      case base::user_cpu: return user_;
    }
    return monotonic_;
  }

  /// Time passes.
  constexpr void pass(nanoseconds d) noexcept {
    monotonic_ = rules::saturating_add(monotonic_, d);
    sleep(d);
  }

  /// The machine is suspended for as long.
  constexpr void sleep(nanoseconds d) noexcept {
    boottime_ = rules::saturating_add(boottime_, d);
    realtime_ = rules::saturating_add(realtime_, d);
  }

  /// Somebody sets the realtime clock.
  constexpr void step(nanoseconds realtime) noexcept { realtime_ = realtime; }

  /// The program computes. CPU time alone moves: how long it takes is another question.
  constexpr void use_cpu(nanoseconds user, nanoseconds system) noexcept {
    user_ = rules::saturating_add(user_, user);
    system_ = rules::saturating_add(system_, system);
  }

 private:
  nanoseconds monotonic_;
  nanoseconds boottime_;
  nanoseconds realtime_;
  nanoseconds tai_offset_;
  nanoseconds user_{};
  nanoseconds system_{};
};

}  // namespace chime::engine
