// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Errors are boost::system::error_code, with the errno that Linux gives for the same mistake.

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <string>

namespace chime {

using boost::system::error_code;
using boost::system::system_error;

namespace error {

/// What no errno says.
enum class errc { cpu_budget_exhausted = 1 };

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // Boost's base: nobody deletes by it
#endif
class chime_category final : public boost::system::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "chime"; }
  [[nodiscard]] std::string message(int n) const override {
    return n == static_cast<int>(errc::cpu_budget_exhausted) ? "CPU budget exhausted"
                                                             : "unknown error";
  }
};
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/// The category of chime's own numbers. Lasts for ever, as error codes may.
[[nodiscard]] inline const boost::system::error_category& category() noexcept {
  static const auto& only = *new chime_category;
  return only;
}

/// What Linux says by this errno. (On Windows the system category numbers its errors otherwise.)
[[nodiscard]] inline error_code from_errno(int number) noexcept {
#if defined(_WIN32)
  return {number, boost::system::generic_category()};
#else
  return {number, boost::system::system_category()};
#endif
}

/// A wait, or a new setting, found that the clock was set while the timer stood at
/// `cancel_on_clock_set`. Read the clock again and set the timer anew.
///
/// It is ECANCELED in the generic category, so it compares equal to errc::operation_canceled and
/// differs from boost::asio::error::operation_aborted, the error of a wait that the program itself
/// cancelled (the same errno on Linux, but in the system category).
[[nodiscard]] inline error_code clock_was_set() noexcept {
  return make_error_code(boost::system::errc::operation_canceled);
}

/// A cpu_budget was used up before the operation ended.
[[nodiscard]] inline error_code cpu_budget_exhausted() noexcept {
  return {static_cast<int>(errc::cpu_budget_exhausted), category()};
}

/// EINVAL: a time, a clock or a flag that no timer takes.
[[nodiscard]] inline error_code invalid_argument() noexcept { return from_errno(EINVAL); }

}  // namespace error
}  // namespace chime
