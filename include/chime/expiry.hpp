// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/rules.hpp>

#include <cstdint>

namespace chime {

/// What a wait brings: the expirations that nobody took before, all at once.
///
/// `Clock::now() - scheduled` is how late the wait was. Setting the next deadline from `scheduled`
/// rather than from now() keeps lateness from adding up.
template <class Clock>
struct expiry {
  /// How many times the timer expired; at least 1 in a wait that succeeded.
  std::uint64_t expirations = 0;

  /// When the last of them was due, on the timer's clock.
  ///
  /// Exact, but for a relative setting on realtime_clock: that does not follow the clock's steps,
  /// so its instant is worked out from the time since then at the moment of the wait, within the
  /// nanoseconds it takes to read two clocks.
  typename Clock::time_point scheduled{};

  /// The expirations beyond the first: how many were missed. Saturates at 2147483647
  /// (DELAYTIMER_MAX), as timer_getoverrun(2) does.
  [[nodiscard]] constexpr int overrun() const noexcept { return rules::overrun_of(expirations); }
};

}  // namespace chime
