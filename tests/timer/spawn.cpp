// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Stackful coroutines.
#include "support/asio.hpp"
#include "support/sanitizer.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/spawn.hpp>

#include <chrono>
#include <cstdio>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

using timer = chime::timerfd<chime::monotonic_clock>;

}  // namespace

TEST_CASE("a yield_context waits") {
  asio::io_context context;
  int waits = 0;
  asio::spawn(
      context,
      [&](asio::yield_context yield) {
        timer t{context};
        t.expires_every(20us);
        for (; waits < 3; ++waits) CHECK(t.async_wait(yield).expirations >= 1);

        chime::error_code ec = asio::error::eof;
        CHECK(t.async_wait(yield[ec]).expirations >= 1);
        CHECK_FALSE(ec);
        ++waits;

        const auto [no_error, e] = t.async_wait(asio::as_tuple(yield));
        CHECK_FALSE(no_error);
        CHECK(e.expirations >= 1);
        ++waits;

        t.close();
        t.async_wait(yield[ec]);
        CHECK(ec == asio::error::bad_descriptor);
        ++waits;
        if (support::address_sanitizer)
          return;  // it takes a throw on a stack of Boost.Context for an overflow
        CHECK_THROWS_AS(t.async_wait(yield), chime::system_error);
      },
      asio::detached);
  support::run_out(context);
  CHECK(waits == 6);
}

TEST_CASE("a context that is destroyed unwinds a stack that waits in it") {
  if (support::address_sanitizer) {
    std::puts("SKIPPED: AddressSanitizer takes unwinding a stack of Boost.Context for an overflow");
    return;
  }
  bool unwound = false;
  struct note {
    bool& gone;
    ~note() { gone = true; }
  };
  {
    asio::io_context context;
    asio::spawn(
        context,
        [&](asio::yield_context yield) {
          const note at_end{unwound};
          timer t{context};
          t.async_wait(yield);
        },
        asio::detached);
    context.poll();
    CHECK_FALSE(unwound);
  }
  CHECK(unwound);
}
