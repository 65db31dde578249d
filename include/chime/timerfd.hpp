// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>
#include <chime/user/timerfd.hpp>

#if defined(__linux__)
#include <chime/detail/either.hpp>
#include <chime/kernel/timerfd.hpp>
#endif

namespace chime {

/// A timer of timerfd_create(2): on realtime_clock, monotonic_clock, boottime_clock,
/// realtime_alarm_clock or boottime_alarm_clock, with all that basic_timer says.
///
/// The kernel keeps it where it offers the timer. Elsewhere the engine does: on another system than
/// Linux, where a sandbox refuses the call, and in a context whose time is virtual (see
/// virtual_time.hpp). To choose, name basic_timer<kernel::timerfd<Clock>> or
/// basic_timer<user::timerfd<Clock>>.
#if defined(__linux__)
template <class Clock, class Executor = boost::asio::any_io_executor>
using timerfd = basic_timer<detail::either<kernel::timerfd<Clock>, user::timerfd<Clock>>, Executor>;
#else
template <class Clock, class Executor = boost::asio::any_io_executor>
using timerfd = basic_timer<user::timerfd<Clock>, Executor>;
#endif

}  // namespace chime
