// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Running an io_context until the thing has come, and timers that are due without anybody
/// sleeping.

#include "support/slack.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <optional>
#include <thread>

namespace support {

namespace asio = boost::asio;

/// Runs handlers until `done()`. Fails where the context runs out of work first, or where nothing
/// comes for as long as the slack.
template <class Done>
void run_until(asio::io_context& context, Done done) {
  context.restart();
  while (!done())
    if (context.run_one_for(slack) == 0) break;
  REQUIRE(done());
}

/// Runs handlers until there is no more work. Fails where nothing comes for as long as the slack.
inline void run_out(asio::io_context& context) {
  context.restart();
  while (context.run_one_for(slack) != 0) continue;
  REQUIRE(context.stopped());
}

/// Waits, without taking anything, until somebody could take expirations of the timer.
template <class Timer>
void until_due(Timer& timer) {
  const auto patience = std::chrono::steady_clock::now() + slack;
  while (!timer.is_ready() && std::chrono::steady_clock::now() < patience)
    std::this_thread::yield();
  REQUIRE(timer.is_ready());
}

/// Makes the timer due: one expiration, since long ago.
template <class Timer>
void make_due(Timer& timer) {
  timer.expires_at(typename Timer::time_point{std::chrono::nanoseconds{1}});
  until_due(timer);
}

/// What a wait brought.
template <class Clock>
struct outcome {
  int calls = 0;
  chime::error_code error;
  chime::expiry<Clock> expiry;

  /// Handler to pass to async_wait. The outcome must outlive it.
  auto handler() {
    return [this](chime::error_code ec, chime::expiry<Clock> e) {
      ++calls;
      error = ec;
      expiry = e;
    };
  }
};

}  // namespace support
