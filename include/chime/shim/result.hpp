// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <boost/system/result.hpp>

#include <cerrno>
#include <type_traits>
#include <utility>

namespace chime::shim {

/// What a system call answers: its output, or errno in the system category.
template <class T>
using result = boost::system::result<T>;

using boost::system::error_code;

/// errno, as an error_code.
[[nodiscard]] inline error_code last_error() noexcept {
  return {errno, boost::system::system_category()};
}

/// None, or errno where the kernel says -1.
[[nodiscard]] inline error_code error_of(long status) noexcept {
  return status == -1 ? last_error() : error_code{};
}

/// The output of `call(error_code&)`, or the error that it set.
template <class Call>
[[nodiscard]] result<std::invoke_result_t<Call, error_code&>> as_result(Call call) {
  error_code ec;
  auto output = call(ec);
  if (ec) return ec;
  return output;
}

/// Turns the kernel's "-1 and errno" into a result that holds `output` otherwise.
template <class T>
[[nodiscard]] result<std::remove_cvref_t<T>> answer(long status, T&& output) {
  if (status == -1) return last_error();
  return std::forward<T>(output);
}
[[nodiscard]] inline result<void> answer(long status) {
  if (status == -1) return last_error();
  return {};
}

}  // namespace chime::shim
