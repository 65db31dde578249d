// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <unistd.h>

#include <utility>

namespace chime::shim {

/// Owns an open file descriptor and closes it. 0 is a descriptor like any other; -1 is none.
class descriptor {
 public:
  constexpr descriptor() noexcept = default;
  constexpr explicit descriptor(int fd) noexcept : fd_{fd} {}
  constexpr descriptor(descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  constexpr descriptor& operator=(descriptor&& other) noexcept {
    descriptor{std::move(other)}.swap(*this);
    return *this;
  }
  constexpr ~descriptor() {
    // close(2): the descriptor is gone whatever it answers, EINTR included.
    if (fd_ != -1) ::close(fd_);
  }

  [[nodiscard]] constexpr int get() const noexcept { return fd_; }
  [[nodiscard]] constexpr bool is_open() const noexcept { return fd_ != -1; }
  [[nodiscard]] constexpr int release() noexcept { return std::exchange(fd_, -1); }
  constexpr void swap(descriptor& other) noexcept { std::swap(fd_, other.fd_); }

 private:
  int fd_ = -1;
};

}  // namespace chime::shim
