// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The clocks that the program sees: the real ones, or all of them faster or slower.

#include "kernel.hpp"

#include <sys/time.h>
#include <chime/engine/time_source.hpp>

namespace preload::clocks {

/// Reads CHIME_PRELOAD_SPEED and CHIME_PRELOAD_START. A program that this one starts goes by the
/// same clocks: CHIME_PRELOAD_ORIGIN, set here, hands on when they began.
void init() noexcept;

/// Whether the program's clocks are not the real ones.
[[nodiscard]] bool is_scaled() noexcept;

/// A real clock, by the vDSO. Negative errno, and `now` untouched, where there is no such clock.
long read_real(clockid_t id, ::timespec& now) noexcept;
/// The clock as the program sees it.
long read(clockid_t id, ::timespec& now) noexcept;
[[nodiscard]] nanoseconds now(clockid_t id) noexcept;

/// clock_settime(2) and settimeofday(2). Where the program's clocks are not the real ones only what it sees is set,
/// in this process; the machine's clock is left alone. Its timers know before this returns.
long set(clockid_t id, const ::timespec* to) noexcept;
long set_time_of_day(const ::timeval* to, const void* zone) noexcept;

/// The real span that lasts as long as `span` does to the program, rounded up; and back, down.
[[nodiscard]] nanoseconds to_real(nanoseconds span) noexcept;
[[nodiscard]] nanoseconds from_real(nanoseconds span) noexcept;
/// The real instant on CLOCK_MONOTONIC that the program's monotonic clock calls `at`.
[[nodiscard]] nanoseconds monotonic_to_real(nanoseconds at) noexcept;

/// How far CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, to the nanosecond: it changes when somebody
/// sets the clock, and only then. The COARSE clocks show the time of one tick without interpolating,
/// so between two equal readings of one lies a reading of the other for the same tick
/// (update_vsyscall() in kernel/time/vsyscall.c).
[[nodiscard]] nanoseconds realtime_offset() noexcept;

/// Where the scheduler reads the time.
class source final : public chime::engine::time_source {
 public:
  [[nodiscard]] nanoseconds now(chime::engine::base on,
                                chime::thread_clock thread) const noexcept override;
};

}  // namespace preload::clocks
