// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// All of chime.

#include <chime/aio_context.hpp>
#include <chime/aio_operation.hpp>
#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>
#include <chime/cpu_budget.hpp>
#include <chime/duration.hpp>
#include <chime/engine_options.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/itimer.hpp>
#include <chime/pooled_timerfd.hpp>
#include <chime/posix_timer.hpp>
#include <chime/rules.hpp>
#include <chime/setting.hpp>
#include <chime/sleep.hpp>
#include <chime/thread_clock.hpp>
#include <chime/timerfd.hpp>
#include <chime/version.hpp>
#include <chime/virtual_time.hpp>
