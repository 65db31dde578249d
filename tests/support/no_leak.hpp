// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace support {

/// How many descriptors this process has open.
inline std::ptrdiff_t open_descriptors() {
  using iterator = std::filesystem::directory_iterator;
  return std::distance(iterator{"/proc/self/fd"}, iterator{}) - 1;  // less the iterator's own
}

/// A fixture: a test case leaves as many descriptors open as it found.
///
///     TEST_CASE_FIXTURE(support::no_leak, "...") { ... }
class no_leak {
 public:
  no_leak() = default;
  no_leak(const no_leak&) = delete;
  no_leak& operator=(const no_leak&) = delete;
  ~no_leak() { CHECK_EQ(open_descriptors(), before_); }

 private:
  std::ptrdiff_t before_ = open_descriptors();
};

}  // namespace support
