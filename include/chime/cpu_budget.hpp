// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock.hpp>
#include <chime/error.hpp>
#include <chime/posix_timer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/cancellation_condition.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

namespace chime {

/// Runs an operation with so much CPU time, and cancels it when that is used up.
///
///     co_await chime::cpu_budget(300ms, build_index(files));
///
/// The budget is of the whole process, user and system time (`process_cpu_clock`), or with
/// `cpu_budget<thread_cpu_clock>` of the thread that starts the operation. Time in which nobody
/// computes does not count. The operation is asked to end (terminal cancellation), which it can
/// notice whenever it waits for something: a computation that never waits runs on.
///
/// \param limit CPU time, more than zero. With zero nothing is run, and the budget is used up.
/// \param operation what to run, on the same executor
/// \return what the operation returns. An exception of its own comes through.
/// \throws system_error of error::cpu_budget_exhausted() if the budget was used up first; of
///         errc::invalid_argument for a negative limit or a NaN; and what opening a posix_timer says, when
///         nothing has been run
///
/// Cancellation of the caller is passed on to the operation.
template <class Clock = process_cpu_clock, class Rep, class Period, class T, class Executor>
[[nodiscard]] boost::asio::awaitable<T, Executor> cpu_budget(
    std::chrono::duration<Rep, Period> limit, boost::asio::awaitable<T, Executor> operation) {
  namespace asio = boost::asio;
  if (limit == limit.zero()) throw system_error{error::cpu_budget_exhausted()};
  const Executor executor = co_await asio::this_coro::executor;
  posix_timer<Clock, Executor> budget{executor};
  budget.expires_after(limit);

  auto both = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, std::move(operation), asio::deferred),
      budget.async_wait(asio::deferred));
  auto outcome =
      co_await std::move(both).async_wait(asio::experimental::wait_for_one{}, asio::deferred);
  // (order, exception[, value], error, expiry)
  const std::array<std::size_t, 2> order = std::get<0>(outcome);
  const std::exception_ptr failed = std::get<1>(outcome);
  const error_code waited = std::get<std::tuple_size_v<decltype(outcome)> - 2>(outcome);
  // An operation that came to its end all the same has not been cancelled.
  if (order[0] == 1 && !waited && failed) throw system_error{error::cpu_budget_exhausted()};
  if (failed) std::rethrow_exception(failed);
  if constexpr (!std::is_void_v<T>) co_return std::move(std::get<2>(outcome));
}

}  // namespace chime
