// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>
#include <chime/duration.hpp>
#include <chime/user/posix_timer.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <type_traits>

namespace chime {

/// A clock that a coroutine of Asio's can sleep by: realtime_clock, monotonic_clock, boottime_clock,
/// tai_clock or process_cpu_clock. (A coroutine has no thread of its own by whose CPU time it could;
/// clock_nanosleep(2) refuses that of the calling thread, too.)
template <class Clock>
concept sleeping_clock =
    requires { Clock::kind; } && without_alarm(Clock::kind) == Clock::kind &&
    Clock::kind != clock_kind::thread_cpu && Clock::kind != clock_kind::user_cpu;

/// Sleeps in a coroutine of Asio's, or says for how long another operation may take.
///
///     co_await chime::sleep_for(5s);
///     co_await (socket.async_read_some(buffer, asio::use_awaitable) || chime::sleep_for(5s));
///
/// The time counts from where it is awaited. The engine keeps it, so a sleep takes no descriptor, and
/// it is virtual where the context's time is (see virtual_time.hpp).
///
/// \tparam Clock by which to sleep: steps of realtime_clock do not change when it ends (C2),
///         boottime_clock counts suspend, and process_cpu_clock stands while nobody computes
/// \param length zero or less ends at once; what is longer than 2^63 - 1 ns never does (E8)
/// \throws system_error of operation_aborted if the coroutine is cancelled, of errc::invalid_argument
///         for a NaN
template <sleeping_clock Clock = monotonic_clock, class Executor = boost::asio::any_io_executor,
          class Rep, class Period>
[[nodiscard]] boost::asio::awaitable<void, Executor> sleep_for(
    std::chrono::duration<Rep, Period> length) {
  namespace asio = boost::asio;
  const Executor executor = co_await asio::this_coro::executor;
  // (A timer that is set to zero would be disarmed.)
  if (length <= length.zero()) co_return co_await asio::post(executor, asio::deferred);
  basic_timer<user::posix_timer<Clock>, Executor> timer{executor};
  timer.expires_after(length);
  co_await timer.async_wait(asio::deferred);
}

namespace detail {

/// The clock whose time_point is of this one: realtime_clock's is std::chrono's.
template <class Clock>
using clock_of_time_point =
    std::conditional_t<std::is_same_v<Clock, realtime_clock::time_point::clock>, realtime_clock,
                       Clock>;

}  // namespace detail

/// The same until a point in time; at once if that is past. Where its clock is set meanwhile, it ends
/// when the clock says so (C2).
///
///     co_await chime::sleep_until(chime::realtime_clock::now() + 24h);
template <class Executor = boost::asio::any_io_executor, class Clock, class Duration>
  requires sleeping_clock<detail::clock_of_time_point<Clock>>
[[nodiscard]] boost::asio::awaitable<void, Executor> sleep_until(
    std::chrono::time_point<Clock, Duration> when) {
  namespace asio = boost::asio;
  const Executor executor = co_await asio::this_coro::executor;
  basic_timer<user::posix_timer<detail::clock_of_time_point<Clock>>, Executor> timer{executor};
  const auto instant = to_nanoseconds(when.time_since_epoch());
  if (instant && *instant <= timer.now().time_since_epoch())
    co_return co_await asio::post(executor, asio::deferred);
  timer.expires_at(when);
  co_await timer.async_wait(asio::deferred);
}

}  // namespace chime
