// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A sandbox without Linux AIO: a context says so, and the engine keeps the pooled timers.
#include "support/asio.hpp"
#include "support/in_child.hpp"
#include "support/refuse_timers.hpp"

#include <chime/aio_context.hpp>
#include <chime/pooled_timerfd.hpp>

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <boost/asio/io_context.hpp>

#include <cerrno>
#include <chrono>
#include <cstdio>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using chime::monotonic_clock;

constexpr int no_filter = 77;

/// What goes wrong where io_setup fails with `error`; 0 if nothing does.
int seen_without_aio(int error) {
  if (!support::refuse_call(SYS_io_setup, error)) return no_filter;
  asio::io_context context;
  error_code ec;
  const chime::aio_context aio{context, 4, ec};
  if (ec.value() != error || aio.is_open()) return 1;
  chime::reserve_pooled_timers(context, 100, ec);
  if (ec.value() != error) return 2;
  chime::pooled_timerfd<monotonic_clock> t{context, ec};
  if (ec || !t.is_open()) return 3;
  support::outcome<monotonic_clock> seen;
  t.expires_every(1ms);
  for (int i = 1; i <= 5; ++i) {
    t.async_wait(seen.handler());
    context.restart();
    while (seen.calls < i && context.run_one_for(support::slack) != 0) continue;
    if (seen.calls != i || seen.error || seen.expiry.expirations == 0) return 4;
    if (monotonic_clock::now() < seen.expiry.scheduled) return 5;
  }
  return 0;
}

}  // namespace

TEST_CASE(
    "where io_setup is refused a context gives its errno, and pooled timers are the engine's") {
  for (const int error : {ENOSYS, EPERM}) {
    CAPTURE(error);
    const int seen = support::in_child([&] { return seen_without_aio(error); });
    if (seen == no_filter)
      std::puts("SKIPPED: no seccomp filter can be installed here");
    else
      CHECK_EQ(seen, 0);
  }
}
