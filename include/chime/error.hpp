// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Errors are boost::system::error_code, with the errno that Linux gives for the same mistake.

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

namespace chime {

using boost::system::error_code;
using boost::system::system_error;

namespace error {

/// A wait, or a new setting, found that the clock was set while the timer stood at
/// `cancel_on_clock_set`. Read the clock again and set the timer anew.
///
/// It is ECANCELED in the generic category, so it compares equal to errc::operation_canceled and
/// differs from boost::asio::error::operation_aborted, the error of a wait that the program itself
/// cancelled (the same errno on Linux, but in the system category).
[[nodiscard]] inline error_code clock_was_set() noexcept {
  return make_error_code(boost::system::errc::operation_canceled);
}

/// EINVAL: a time, a clock or a flag that no timer takes.
[[nodiscard]] inline error_code invalid_argument() noexcept {
  return {EINVAL, boost::system::system_category()};
}

}  // namespace error
}  // namespace chime
