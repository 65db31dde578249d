// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A coroutine that waits N times for a 1 ms timerfd: chime's, or written by hand on Asio's
// stream_descriptor. instructions.sh counts what each costs. Usage: periodic_wait
// chime|async_wait|async_read N

#include <chime/timerfd.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>

#include <sys/timerfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string_view>

namespace asio = boost::asio;
using asio::posix::stream_descriptor;

namespace {

asio::awaitable<void> with_chime(int times) {
  chime::timerfd<chime::monotonic_clock> timer{co_await asio::this_coro::executor};
  timer.expires_every(std::chrono::milliseconds{1});
  while (times-- > 0) {
    const auto tick = co_await timer.async_wait();
    if (tick.expirations == 0) std::abort();
  }
}

int open_by_hand() {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const itimerspec every{{0, 1'000'000}, {0, 1'000'000}};
  if (fd == -1 || ::timerfd_settime(fd, 0, &every, nullptr) == -1) std::abort();
  return fd;
}

asio::awaitable<void> with_async_wait(int times) {
  stream_descriptor timer{co_await asio::this_coro::executor, open_by_hand()};
  while (times-- > 0) {
    co_await timer.async_wait(stream_descriptor::wait_read, asio::deferred);
    std::uint64_t expirations = 0;
    if (::read(timer.native_handle(), &expirations, sizeof expirations) != sizeof expirations)
      std::abort();
  }
}

asio::awaitable<void> with_async_read(int times) {
  stream_descriptor timer{co_await asio::this_coro::executor, open_by_hand()};
  while (times-- > 0) {
    std::uint64_t expirations = 0;
    co_await timer.async_read_some(asio::buffer(&expirations, sizeof expirations), asio::deferred);
    if (expirations == 0) std::abort();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string_view way = argv[1];
  const int times = std::atoi(argv[2]);
  asio::io_context context{1};
  asio::co_spawn(context,
                 way == "chime"        ? with_chime(times)
                 : way == "async_wait" ? with_async_wait(times)
                                       : with_async_read(times),
                 [](std::exception_ptr e) {
                   if (e) std::rethrow_exception(e);
                 });
  context.run();
}
