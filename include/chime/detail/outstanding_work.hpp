// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// How the executors of a wait are told that it is outstanding, so that their contexts do not run
/// out of work meanwhile.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/is_executor.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>

#include <optional>
#include <type_traits>

namespace chime::detail {

/// Something to hold on to while an executor's context must not run out of work.
template <class Executor>
[[nodiscard]] auto keep_running(const Executor& executor) {
  if constexpr (boost::asio::execution::is_executor<Executor>::value) {
    return boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked);
  } else {
    // One of the Networking TS, such as io_context::strand.
    return boost::asio::make_work_guard(executor);
  }
}

/// Whether an executor is one that runs things in this context.
template <class Executor>
[[nodiscard]] bool runs_in(const Executor& executor,
                           const boost::asio::execution_context& context) noexcept {
  if constexpr (boost::asio::can_query<const Executor&, boost::asio::execution::context_t>::value)
    return &boost::asio::query(executor, boost::asio::execution::context) == &context;
  else if constexpr (boost::asio::is_executor<Executor>::value)
    return &executor.context() == &context;  // one of the Networking TS
  else
    return false;  // one that does not tell: any_completion_executor
}

/// The io_context's own executor behind a type-erased one; null if that is another, such as a
/// strand.
[[nodiscard]] inline const boost::asio::io_context::executor_type* plain(
    const boost::asio::any_io_executor& executor) noexcept {
  return executor.target<boost::asio::io_context::executor_type>();
}
[[nodiscard]] inline const boost::asio::io_context::executor_type* plain(
    const boost::asio::io_context::executor_type& executor) noexcept {
  return &executor;
}
template <class Executor>
[[nodiscard]] const boost::asio::io_context::executor_type* plain(const Executor&) noexcept {
  return nullptr;
}

/// Which executors of a context need not be told that a wait is outstanding.
enum class covered {
  plain,    ///< the context's own: it has work while the engine sleeps
  context,  ///< any in the context: where time is virtual a wait is no work (see virtual_time)
  nobody,
};

/// How the executors of a wait are told that it is outstanding.
struct work_of {
  const boost::asio::execution_context& here;
  covered who;

  template <class Executor>
  [[nodiscard]] bool is_covered(const Executor& executor) const noexcept {
    return who != covered::nobody && runs_in(executor, here) &&
           (who == covered::context || plain(executor) != nullptr);
  }

  /// Something to hold on to meanwhile. Where that has the executor's own type (a type-erased one's
  /// has), it can stand for the executor, too.
  template <class Executor>
  [[nodiscard]] auto track(const Executor& executor) const {
    using work = decltype(keep_running(executor));
    if constexpr (std::is_same_v<work, Executor>) {
      return is_covered(executor) ? executor : keep_running(executor);
    } else {
      std::optional<work> held;
      if (!is_covered(executor)) held.emplace(keep_running(executor));
      return held;
    }
  }
};

}  // namespace chime::detail
