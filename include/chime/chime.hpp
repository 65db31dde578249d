// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// All of chime.

#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>
#include <chime/duration.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/rules.hpp>
#include <chime/setting.hpp>
#include <chime/version.hpp>

#if defined(__linux__)
#include <chime/timerfd.hpp>
#endif
