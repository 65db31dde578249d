// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include "kernel.hpp"

#include <array>

namespace preload {

/// read(2) as the program would have it: libc's, which is a cancellation point, or the bare call.
/// Negative errno where it fails.
using native_read = long (*)(int fd, void* to, std::size_t size);

/// As if the descriptor were O_NONBLOCK.
inline long read_at_once(int fd, void* to, std::size_t size) noexcept {
  const ::iovec part{to, size};
  return raw(SYS_preadv2, fd, &part, 1, -1, -1, RWF_NOWAIT);
}

/// Where the result of a read goes.
struct deliver {
  const ::iovec* parts;
  std::size_t count;

  /// \param skip what has gone there already. 0, or -EFAULT.
  long operator()(const void* data, std::size_t size, std::size_t skip = 0) const noexcept {
    const auto* from = static_cast<const std::byte*>(data);
    for (std::size_t i = 0; i < count && size > 0; ++i) {
      const std::size_t room = count == 1 ? skip + size : parts[i].iov_len;
      const std::size_t used = skip < room ? skip : room;
      const std::size_t n = room - used < size ? room - used : size;
      if (n > 0 && copy_out(static_cast<std::byte*>(parts[i].iov_base) + used, from, n) != 0)
        return -EFAULT;
      skip -= used;
      from += n;
      size -= n;
    }
    return 0;
  }
};

/// A read of a timerfd and of a signalfd.
long read_timerfd(int fd, std::size_t size, const native_read& native, const deliver& to) noexcept;
long read_signalfd(int fd, std::size_t size, const native_read& native, const deliver& to) noexcept;

}  // namespace preload
