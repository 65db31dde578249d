// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include "kernel.hpp"

#include <pthread.h>

namespace preload {

/// How a call that may block does so: as the bare system call, as libc's, which is a cancellation point, or as one of a
/// descriptor that is O_NONBLOCK.
enum class wait_as { system_call, cancellation_point, not_at_all };

/// A system call that waits, and leaves no trace where the thread is cancelled in it.
template <class... Arguments>
long wait(wait_as how, long nr, Arguments... arguments) {
  if (how != wait_as::cancellation_point) return raw(nr, arguments...);
  int type = 0;
  ::pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
  const long result = raw(nr, arguments...);
  ::pthread_setcanceltype(type, nullptr);
  return result;
}

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
long read_timerfd(int fd, std::size_t size, wait_as how, const deliver& to) noexcept;
long read_signalfd(int fd, std::size_t size, wait_as how, const deliver& to) noexcept;

}  // namespace preload
