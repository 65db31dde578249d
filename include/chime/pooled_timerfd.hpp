// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>
#include <chime/error.hpp>
#include <chime/user/timerfd.hpp>

#include <boost/asio/execution_context.hpp>

#include <cstddef>

#if defined(__linux__)
#include <chime/detail/either.hpp>
#include <chime/kernel/pooled_timerfd.hpp>
#endif

namespace chime {

/// A timerfd for programs that have thousands of them: all of an execution context share one
/// registration in the reactor, and waits are handed to the kernel in batches (Linux AIO, see
/// kernel/poll_group.hpp). For the rest it is a chime::timerfd, with all that basic_timer says.
///
/// Each takes a place in an AIO context; fs.aio-max-nr says how many the machine has (65536, mostly).
/// Opening fails with EAGAIN where it has no more. As of timerfd, the engine keeps the timer where the
/// kernel refuses it, elsewhere than on Linux, and where time is virtual.
#if defined(__linux__)
template <class Clock, class Executor = boost::asio::any_io_executor>
using pooled_timerfd =
    basic_timer<detail::either<kernel::pooled_timerfd<Clock>, user::timerfd<Clock>>, Executor>;
#else
template <class Clock, class Executor = boost::asio::any_io_executor>
using pooled_timerfd = basic_timer<user::timerfd<Clock>, Executor>;
#endif

/// Makes room for so many pooled timers of an execution context, in one AIO context if none of them has
/// been opened yet. Otherwise there are several in time, each as big as all before, which costs a system
/// call more a batch for each.
///
/// \par Errors
/// EAGAIN, EINVAL, ENOSYS, EMFILE: io_setup(2) and eventfd(2). The timers can be opened all the same,
/// as far as there is room.
inline void reserve_pooled_timers([[maybe_unused]] boost::asio::execution_context& context,
                                  [[maybe_unused]] std::size_t timers, error_code& ec) {
  ec = {};
#if defined(__linux__)
  auto& group = boost::asio::use_service<kernel::poll_group>(context);
  const user::service::access locked{boost::asio::use_service<user::service>(context)};
  group.reserve(timers, ec);
#endif
}

}  // namespace chime
