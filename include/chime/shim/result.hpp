// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/shim/error.hpp>

#include <boost/system/result.hpp>

#include <type_traits>
#include <utility>

namespace chime::shim {

/// What a system call answers: its output, or errno in the system category.
template <class T>
using result = boost::system::result<T>;

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
