// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <boost/system/error_code.hpp>

#include <cerrno>

namespace chime::shim {

using boost::system::error_code;

/// errno, as an error_code in the system category.
[[nodiscard]] inline error_code last_error() noexcept {
  return {errno, boost::system::system_category()};
}

/// None, or errno where the kernel says -1.
[[nodiscard]] inline error_code error_of(long status) noexcept {
  return status == -1 ? last_error() : error_code{};
}

}  // namespace chime::shim
