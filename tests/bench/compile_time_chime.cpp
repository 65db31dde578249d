// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// One timer in a coroutine, of chime. compile_time.sh compares how long this takes to compile with
// compile_time_asio.cpp, the same with Asio's own timer.

#include <chime/timerfd.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>

namespace asio = boost::asio;

asio::awaitable<void> tick(asio::io_context& context, int times) {
  chime::timerfd<chime::monotonic_clock> timer{context};
  timer.expires_every(std::chrono::milliseconds{10});
  while (times-- > 0) co_await timer.async_wait();
}

int main() {
  asio::io_context context{1};
  asio::co_spawn(context, tick(context, 3), asio::detached);
  context.run();
}
