// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock.hpp>

#include <cstdint>
#include <type_traits>

namespace chime {

/// The three interval timers of a process: `which` of setitimer(2).
enum class itimer_kind : std::uint8_t {
  real,  ///< ITIMER_REAL: time passes, as on monotonic_clock
  virt,  ///< ITIMER_VIRTUAL: the process computes in user mode, user_cpu_clock
  prof,  ///< ITIMER_PROF: it computes in user mode or in the kernel for it, process_cpu_clock
};

/// The clock that an interval timer goes by.
template <itimer_kind Kind>
using itimer_clock = std::conditional_t<
    Kind == itimer_kind::real, monotonic_clock,
    std::conditional_t<Kind == itimer_kind::virt, user_cpu_clock, process_cpu_clock>>;

}  // namespace chime
