// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>
#include <chime/user/posix_timer.hpp>

#if defined(__linux__)
#include <chime/detail/either.hpp>
#include <chime/kernel/posix_timer.hpp>
#endif

namespace chime {

/// A timer of timer_create(2): on realtime_clock, monotonic_clock, boottime_clock, tai_clock,
/// process_cpu_clock or thread_cpu_clock, with all that basic_timer says.
///
/// The kernel keeps it where it offers the timer, and no signal is ever felt (see
/// kernel/signal_bridge.hpp). Elsewhere the engine does: on another system than Linux, where a
/// sandbox refuses the call, and in a context whose time is virtual (see virtual_time.hpp). To
/// choose, name basic_timer<kernel::posix_timer<Clock>> or basic_timer<user::posix_timer<Clock>>.
#if defined(__linux__)
template <class Clock, class Executor = boost::asio::any_io_executor>
using posix_timer =
    basic_timer<detail::either<kernel::posix_timer<Clock>, user::posix_timer<Clock>>, Executor>;
#else
template <class Clock, class Executor = boost::asio::any_io_executor>
using posix_timer = basic_timer<user::posix_timer<Clock>, Executor>;
#endif

}  // namespace chime
