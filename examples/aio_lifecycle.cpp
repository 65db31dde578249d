// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The life of an AIO context, call by call: what io_setup refuses, a poll of a timer from submission to its
// event, a cancellation, destruction with an operation in flight. Then the same awaited.

#include <chime/aio_context.hpp>
#include <chime/clock.hpp>
#include <chime/duration.hpp>
#include <chime/pooled_timerfd.hpp>
#include <chime/shim/aio.hpp>
#include <chime/shim/aio_ring.hpp>
#include <chime/shim/iocb.hpp>
#include <chime/shim/timerfd.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <support/check.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

namespace asio = boost::asio;
namespace shim = chime::shim;
using namespace std::chrono_literals;

namespace {

shim::descriptor timer_after(chime::nanoseconds value) {
  auto timer =
      shim::timerfd_create(shim::clock_id::monotonic, shim::timerfd_flags::nonblock).value();
  (void)shim::timerfd_settime(timer.get(), shim::timerfd_set_flags::none,
                              {{}, chime::to_timespec<shim::timespec>(value)})
      .value();
  return timer;
}

void by_hand() {
  for (int i = 0; i < 5; ++i) {
    const auto none = shim::io_setup(0);
    example::check(none.has_error() && none.error().value() == EINVAL,
                   "a context for no events at all is EINVAL, each time");
    std::printf("io_setup     for 0 events: %s\n", none.error().message().c_str());
  }

  shim::aio_handle context = shim::io_setup(8).value();
  const auto id = context.get();
  auto ring = shim::aio_ring::of(id);
  std::printf("io_setup     for 8: context %#llx, a ring of %u places\n",
              static_cast<unsigned long long>(id), ring ? ring->size() : 0);

  const shim::descriptor bell{::eventfd(0, EFD_CLOEXEC)};
  const auto soon = timer_after(10ms);
  const auto later = timer_after(1h);
  shim::iocb a = shim::with_eventfd(shim::iocb_poll(soon.get(), POLLIN), bell.get());
  shim::iocb b = shim::with_eventfd(shim::iocb_poll(later.get(), POLLIN), bell.get());
  const std::array both{&a, &b};
  example::check(shim::io_submit(id, both).value() == 2, "both are submitted");
  std::puts("io_submit    2 polls: a timer of 10 ms, one of an hour");

  std::uint64_t rung = 0;
  example::check(::read(bell.get(), &rung, sizeof rung) == sizeof rung && rung == 1,
                 "the eventfd counts one completion");
  shim::io_event event{};
  const bool in_user_space = ring && ring->take({&event, 1}) == 1;
  if (!in_user_space)
    example::check(shim::io_getevents(id, 1, {&event, 1}).value() == 1, "there is an event");
  std::printf("the ring     one event, %s: readable\n",
              in_user_space ? "taken without a system call" : "by io_getevents");
  example::check(event.obj == reinterpret_cast<std::uintptr_t>(&a) && event.res == POLLIN,
                 "the event is the first timer's");
  example::check(shim::timerfd_read(soon.get()).value() == 1, "a poll takes no expiration");

  const auto cancelled = shim::io_cancel(id, b);
  std::printf("io_cancel    %s, and an event follows\n", cancelled.error().message().c_str());
  example::check(cancelled.error().value() == EINPROGRESS, "a poll is being cancelled");
  example::check(shim::io_getevents(id, 1, {&event, 1}).value() == 1 && event.res == 0,
                 "a cancelled poll has no events");

  shim::iocb* const again[] = {&b};
  example::check(shim::io_submit(id, again).value() == 1, "it is submitted again");
  context = {};
  std::puts("io_destroy   with that in flight: it has been cancelled");
  const auto gone = shim::io_submit(id, again);
  example::check(gone.has_error() && gone.error().value() == EINVAL,
                 "there is no such context any more");
  std::printf("io_submit    %s\n", gone.error().message().c_str());
}

asio::awaitable<void> awaited() {
  chime::aio_context aio{co_await asio::this_coro::executor, 8};
  const auto soon = timer_after(10ms);
  const auto now = timer_after(1ns);
  const std::array both{chime::aio_operation::poll(soon.get(), chime::aio_events::readable),
                        chime::aio_operation::poll(now.get(), chime::aio_events::readable)};
  const auto results = co_await aio.async_submit(both);
  for (const auto& r : results)
    example::check(!r.error && r.events() == chime::aio_events::readable, "each has its result");
  std::puts("awaited      2 polls, with a result each");

  chime::pooled_timerfd<chime::monotonic_clock> beat{co_await asio::this_coro::executor};
  beat.expires_every(1ms);
  std::uint64_t beats = 0;
  while (beats < 10) beats += (co_await beat.async_wait()).expirations;
  std::printf("pooled       %llu beats of a timer that shares its context's polls\n",
              static_cast<unsigned long long>(beats));
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
