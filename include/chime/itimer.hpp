// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/basic_timer.hpp>
#include <chime/itimer_kind.hpp>
#include <chime/user/itimer.hpp>

#if defined(__linux__)
#include <chime/detail/either.hpp>
#include <chime/kernel/itimer.hpp>
#endif

namespace chime {

/// An interval timer of setitimer(2): itimer_kind::real, virt or prof, with all that basic_timer
/// says. One of each kind at a time; a second fails to open with EBUSY.
///
/// The kernel keeps it on Linux; elsewhere, and in a context whose time is virtual (see
/// virtual_time.hpp), the engine does. To choose, name basic_timer<kernel::itimer<Kind>> or
/// basic_timer<user::itimer<Kind>>.
#if defined(__linux__)
template <itimer_kind Kind, class Executor = boost::asio::any_io_executor>
using itimer = basic_timer<detail::either<kernel::itimer<Kind>, user::itimer<Kind>>, Executor>;
#else
template <itimer_kind Kind, class Executor = boost::asio::any_io_executor>
using itimer = basic_timer<user::itimer<Kind>, Executor>;
#endif

}  // namespace chime
