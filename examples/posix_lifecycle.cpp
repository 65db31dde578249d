// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The life of a POSIX timer, call by call: create, set, ask, accept, count what was missed, delete.
// Then the same awaited, in three lines.

#include <chime/chime.hpp>
#include <chime/shim/posix_timer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <fcntl.h>
#include <signal.h>

#include <support/check.hpp>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

namespace asio = boost::asio;
namespace shim = chime::shim;
using namespace std::chrono_literals;

namespace {

shim::itimerspec spec(chime::nanoseconds value, chime::nanoseconds interval) {
  return {chime::to_timespec<shim::timespec>(interval), chime::to_timespec<shim::timespec>(value)};
}

void by_hand() {
  ::sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGRTMIN);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);  // or the signal would end the program

  const ::sigevent event = shim::notify_process(SIGRTMIN);
  shim::posix_timer timer = shim::timer_create(shim::clock_id::monotonic, &event).value();
  const int id = static_cast<int>(*timer);
  std::printf("timer_create      id %d", id);
  // The id is a number of the kernel's for this process, and no descriptor: 0 is the first one.
  const shim::posix_timer many[] = {shim::timer_create(shim::clock_id::monotonic, &event).value(),
                                    shim::timer_create(shim::clock_id::monotonic, &event).value(),
                                    shim::timer_create(shim::clock_id::monotonic, &event).value(),
                                    shim::timer_create(shim::clock_id::monotonic, &event).value()};
  const int last = static_cast<int>(*many[3]);
  std::printf(", and four more up to %d: descriptor %d is %s\n", last, last,
              ::fcntl(last, F_GETFD) == -1 && errno == EBADF ? "not open" : "something else");
  example::check(last >= 4, "each timer has an id of its own");

  shim::timer_settime(*timer, shim::timer_set_flags::none, spec(10ms, 10ms)).value();
  const auto left = shim::timer_gettime(*timer).value();
  std::printf("timer_settime     10 ms, and every 10 ms; timer_gettime says %.3f ms\n",
              static_cast<double>(left.it_value.tv_nsec) / 1e6);
  example::check(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 10'000'000,
                 "what is left is at most what was set");

  std::this_thread::sleep_for(55ms);
  ::siginfo_t info{};
  example::check(::sigwaitinfo(&set, &info) == SIGRTMIN, "the signal comes");
  const int overrun = shim::timer_getoverrun(*timer).value();
  std::printf("timer_getoverrun  %d: one notification for %d expirations\n", overrun, overrun + 1);
  example::check(overrun == info.si_overrun && overrun >= 4,
                 "what was missed is counted when the signal is accepted");

  timer = {};
  const auto gone = shim::timer_gettime(static_cast<shim::timer_id>(id));
  std::printf("timer_delete      and then: %s\n", gone.error().message().c_str());
  example::check(gone.error().value() == EINVAL, "a deleted timer is not known any more");
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

asio::awaitable<void> awaited() {
  chime::posix_timer<chime::monotonic_clock> timer{co_await asio::this_coro::executor};
  timer.expires_every(10ms);
  std::this_thread::sleep_for(55ms);
  const auto tick = co_await timer.async_wait();
  std::printf("awaited           id %d, %d missed, no signal to handle\n", timer.native_handle(),
              tick.overrun());
  example::check(tick.overrun() >= 4, "the same count");
}

}  // namespace

int main() {
  by_hand();
  asio::io_context context{1};
  asio::co_spawn(context, awaited(), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
  context.run();
}
