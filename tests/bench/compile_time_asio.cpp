// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// One timer in a coroutine, of Asio. See compile_time_chime.cpp.

#include <boost/asio/steady_timer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>

namespace asio = boost::asio;

asio::awaitable<void> tick(asio::io_context& context, int times) {
  asio::steady_timer timer{context};
  while (times-- > 0) {
    timer.expires_after(std::chrono::milliseconds{10});
    co_await timer.async_wait(asio::deferred);
  }
}

int main() {
  asio::io_context context{1};
  asio::co_spawn(context, tick(context, 3), asio::detached);
  context.run();
}
