// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/duration.hpp>
#include <chime/error.hpp>
#include <chime/user/service.hpp>

#include <boost/asio/execution_context.hpp>

namespace chime {

/// How the engine keeps the timers of an execution context.
struct engine_options {
  /// How much later than its deadline a wait may complete, so that one wake-up serves many; for
  /// timers that are opened from then on. See basic_timer::set_tolerance().
  nanoseconds tolerance{};

  /// Only ever one thread at a time runs the context and uses its timers: the engine takes no locks,
  /// and neither do timers of the `user` facilities, which it alone keeps.
  bool single_threaded = false;
};

/// Sets the options of a context, before the first timer is opened in it.
///
/// \par Errors
/// EINVAL: the tolerance is negative.
inline void configure_engine(boost::asio::execution_context& context,
                             const engine_options& options) {
  if (options.tolerance < nanoseconds::zero())
    throw system_error{error::invalid_argument(), "chime engine"};
  auto& engine = boost::asio::use_service<user::service>(context);
  engine.assume_single_thread(options.single_threaded);
  const user::service::access locked{engine};
  engine.set_default_tolerance(options.tolerance);
}

}  // namespace chime
