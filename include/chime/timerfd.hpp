// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>
#include <chime/kernel/timerfd.hpp>

namespace chime {

/// A timer of timerfd_create(2): on realtime_clock, monotonic_clock, boottime_clock,
/// realtime_alarm_clock or boottime_alarm_clock, with all that basic_timer says.
template <class Clock, class Executor = boost::asio::any_io_executor>
using timerfd = basic_timer<kernel::timerfd<Clock>, Executor>;

}  // namespace chime
