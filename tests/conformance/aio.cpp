// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What depends on Linux AIO is there on every platform: it works, or says that it cannot.
#include "worlds.hpp"

#include <chime/aio_context.hpp>
#include <chime/pooled_timerfd.hpp>

#include <doctest/doctest.h>

#include <array>
#include <vector>

using namespace conformance;

TEST_CASE("an AIO context works, or says function_not_supported wherever it is asked") {
  asio::io_context context;
  chime::error_code ec;
  chime::aio_context aio{context, 4, ec};
  const auto unsupported = boost::system::errc::function_not_supported;
#if defined(__linux__)
  if (ec != unsupported) {  // an emulator may have none, a sandbox too
    CHECK_FALSE(ec);
    CHECK(aio.is_open());
    return;
  }
#endif
  CHECK(ec == unsupported);
  CHECK_FALSE(aio.is_open());
  CHECK_THROWS_AS(chime::aio_context{context}, chime::system_error);
#if !defined(__linux__)
  int calls = 0;
  const std::array<chime::aio_operation, 2> ops{};
  aio.async_submit(ops[0], [&](chime::error_code e, std::size_t) { calls += e == unsupported; });
  aio.async_submit(ops, [&](chime::error_code e, const std::vector<chime::aio_result>& results) {
    calls += e == unsupported && results.size() == 2 && results[1].error == unsupported;
  });
  CHECK(calls == 0);
  context.run();
  CHECK(calls == 2);
#endif
}

TEST_CASE("a pooled timer is a timer, whoever keeps it") {
  real_world world;
  chime::error_code ec;
  chime::reserve_pooled_timers(world.context, 10, ec);
  chime::pooled_timerfd<monotonic_clock> t{world.context};
  outcome<monotonic_clock> o;
  t.expires_after(1ms);
  t.async_wait(o.handler());
  world.until([&] { return o.calls == 1; });
  CHECK(o.expiry.expirations == 1);
}

TEST_CASE("where time is virtual, a pooled timer is too") {
  virtual_world world;
  chime::pooled_timerfd<monotonic_clock> t{world.context};
  outcome<monotonic_clock> o;
  t.expires_after(24h);
  t.async_wait(o.handler());
  world.pass(24h);
  CHECK(o.calls == 1);
}
