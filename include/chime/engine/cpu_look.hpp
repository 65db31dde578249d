// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/rules.hpp>

#include <algorithm>
#include <chrono>

namespace chime::engine {

using std::chrono::nanoseconds;

/// Decides how long to leave a CPU clock alone. Nothing tells when it reaches a deadline, so
/// somebody has to look again and again; as seldom as can be.
///
/// With `left` of CPU time to go, and `threads` that can run at once, the deadline is at least left
/// / threads away: sleeping that long is never too long. It is at least a tick, so that nobody
/// spins; a timer is then at most one tick late while the program computes. If the clock hardly
/// moved since the last look, the program is idle and the naps double, up to `longest_nap`: that
/// much too late may be what comes due right after the program wakes up, once.
class cpu_look {
 public:
  static constexpr nanoseconds tick =
      std::chrono::milliseconds{4};  // the kernel's, where HZ is 250
  static constexpr nanoseconds longest_nap = std::chrono::milliseconds{128};

  /// Notes a look: what the clock showed, and when.
  constexpr void looked(nanoseconds clock, nanoseconds monotonic) noexcept {
    const nanoseconds used = clock - clock_;
    const nanoseconds passed = monotonic - monotonic_;
    if (passed < tick) return;
    nap_ = used > passed / 32 ? tick : std::min(nap_ * 2, longest_nap);
    clock_ = clock;
    monotonic_ = monotonic;
  }

  /// How long to sleep with `left` to go.
  [[nodiscard]] constexpr nanoseconds nap(nanoseconds left, unsigned threads) const noexcept {
    if (left == nanoseconds::zero()) return left;
    return std::max(left / std::max(threads, 1U), nap_);
  }

 private:
  nanoseconds clock_{};
  nanoseconds monotonic_{};
  nanoseconds nap_ = tick;
};

}  // namespace chime::engine
