// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Has Asio run on io_uring. Comes before every other header, by the compiler's option -include.

#define BOOST_ASIO_HAS_IO_URING 1
#define BOOST_ASIO_DISABLE_EPOLL 1

#include <liburing.h>

namespace support {

/// io_uring_get_sqe, which Asio 1.81 expects to begin with no user data. Since liburing 2.2 the entry
/// still has what the request had that used its place before. Asio's requests to cancel set none, so
/// once the ring has gone round (16384 requests) their completion is taken for another operation's,
/// which ends with a false error, or never.
inline ::io_uring_sqe* fresh_sqe(::io_uring* ring) {
  ::io_uring_sqe* const sqe = ::io_uring_get_sqe(ring);
  if (sqe) ::io_uring_sqe_set_data64(sqe, 0);
  return sqe;
}

}  // namespace support

#define io_uring_get_sqe support::fresh_sqe
