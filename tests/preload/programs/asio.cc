// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Asio's own timers, and a timerfd in its reactor: 20 ticks of 5 ms each, none of them early.
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/timerfd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>

int main() {
  using clock = std::chrono::steady_clock;
  namespace asio = boost::asio;
  asio::io_context context;
  const auto start = clock::now();
  asio::posix::stream_descriptor ticks{context, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)};
  const itimerspec every{{0, 5'000'000}, {0, 5'000'000}};
  timerfd_settime(ticks.native_handle(), 0, &every, nullptr);
  std::uint64_t count = 0;
  std::uint64_t total = 0;
  const auto read = [&](const auto& again) -> void {
    ticks.async_read_some(asio::buffer(&count, sizeof count), [&, again](auto error, std::size_t) {
      if (error) return;
      total += count;
      if (total < 20) again(again);
    });
  };
  read(read);
  asio::steady_timer steady{context, std::chrono::milliseconds{50}};
  bool has_fired = false;
  steady.async_wait([&](auto error) { has_fired = !error; });
  context.run();
  const bool is_good = total >= 20 && has_fired && clock::now() - start >= std::chrono::milliseconds{100};
  std::printf("asio: %llu ticks\n", static_cast<unsigned long long>(total));
  return is_good ? 0 : 1;
}
