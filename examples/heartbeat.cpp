// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A heartbeat every 10 ms that keeps its rhythm whatever its own work costs: now and then a beat
// takes longer than the interval, the beats missed meanwhile are counted, and the next one is in
// phase again.

#include <chime/chime.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>

#include <support/check.hpp>
#include <support/lateness.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <thread>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> heartbeat(std::chrono::nanoseconds length) {
  constexpr auto interval = 10ms;
  chime::timerfd<chime::monotonic_clock> beat{co_await asio::this_coro::executor};
  const auto start = chime::monotonic_clock::now();
  beat.set(chime::setting<chime::monotonic_clock>::at(start + interval, interval));

  std::uint64_t beats = 0;
  std::uint64_t missed = 0;
  for (auto due = start; due < start + length;) {
    const auto tick = co_await beat.async_wait();
    due = tick.scheduled;
    ++beats;
    if (tick.overrun() > 0) {
      missed += static_cast<std::uint64_t>(tick.overrun());
      std::printf("%4llu: %d beats missed\n", static_cast<unsigned long long>(beats),
                  tick.overrun());
    } else if (beats % 100 == 0) {
      std::printf("%4llu: %s late\n", static_cast<unsigned long long>(beats),
                  example::human(chime::monotonic_clock::now() - due).c_str());
    }
    example::check((due - start) % interval == 0ns, "each beat is in phase with the first");
    example::check(beats + missed == static_cast<std::uint64_t>((due - start) / interval),
                   "beats and missed beats add up to the time that passed");

    if (beats % 20 == 0) std::this_thread::sleep_for(35ms);  // a piece of work that takes too long
  }
  example::check(missed > 0, "work that takes too long makes beats be missed");
  std::printf("%llu beats, %llu missed, none lost.\n", static_cast<unsigned long long>(beats),
              static_cast<unsigned long long>(missed));
}

}  // namespace

int main(int argc, char** argv) {
  asio::io_context context{1};
  asio::signal_set interrupted{context, SIGINT, SIGTERM};
  interrupted.async_wait([&](auto, int) { context.stop(); });

  std::puts("A beat every 10 ms, for as long as an hour. Ctrl-C ends it.");
  asio::co_spawn(context, heartbeat(example::in_ci(argc, argv) ? 1s : 1h),
                 [&](std::exception_ptr e) {
                   if (e) std::rethrow_exception(e);
                   context.stop();
                 });
  context.run();
}
