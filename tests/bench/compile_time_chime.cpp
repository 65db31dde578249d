// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// One timer in a coroutine, of chime. compile_time.sh compares how long this takes to compile with
// compile_time_asio.cpp, the same with Asio's own timer. With KERNEL_ALONE defined it is a timer that
// only the kernel keeps, without the engine to fall back to.

#if defined(KERNEL_ALONE)
#include <chime/basic_timer.hpp>
#include <chime/kernel/timerfd.hpp>
#else
#include <chime/timerfd.hpp>
#endif

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>

namespace asio = boost::asio;

#if defined(KERNEL_ALONE)
using timer_type = chime::basic_timer<chime::kernel::timerfd<chime::monotonic_clock>>;
#else
using timer_type = chime::timerfd<chime::monotonic_clock>;
#endif

asio::awaitable<void> tick(asio::io_context& context, int times) {
  timer_type timer{context};
  timer.expires_every(std::chrono::milliseconds{10});
  while (times-- > 0) co_await timer.async_wait();
}

int main() {
  asio::io_context context{1};
  asio::co_spawn(context, tick(context, 3), asio::detached);
  context.run();
}
