// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Fires at full seconds of the wall clock, and notices when somebody sets that clock: what "the
// next full second" is has changed then, so it reads the clock again and sets the timer anew. The
// same serves a backup at 03:00.

#include <chime/chime.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>

#include <support/check.hpp>
#include <support/lateness.hpp>

#include <sys/timex.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

/// Sets the clock forth by one nanosecond and back: to the kernel it has been set, to everybody
/// else nothing has happened. False without CAP_SYS_TIME.
bool set_the_clock() {
  for (const long step : {1L, -1L}) {
    timex change{};
    change.modes = ADJ_SETOFFSET | ADJ_NANO;
    change.time.tv_sec = step < 0 ? -1 : 0;
    change.time.tv_usec = step < 0 ? 1'000'000'000 + step : step;
    if (::clock_adjtime(CLOCK_REALTIME, &change) == -1) return false;
  }
  return true;
}

void print_time(chime::realtime_clock::time_point t) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(t));
  std::tm local{};
  char text[16];
  std::strftime(text, sizeof text, "%H:%M:%S", ::localtime_r(&seconds, &local));
  std::printf("%s", text);
}

asio::awaitable<void> every_full_second(int times, bool set_clock_once) {
  using clock = chime::realtime_clock;
  chime::timerfd<clock> timer{co_await asio::this_coro::executor};
  int noticed = 0;
  for (int fired = 0; fired < times;) {
    const auto next = std::chrono::ceil<std::chrono::seconds>(clock::now() + 1ns);
    timer.expires_at(next, chime::cancel_on_clock_set);

    if (set_clock_once && fired == 1 && noticed == 0 && !set_the_clock()) {
      std::puts("SKIPPED: setting the clock needs CAP_SYS_TIME");
      set_clock_once = false;
    }

    const auto [ec, tick] = co_await timer.async_wait(asio::as_tuple(asio::deferred));
    if (ec == asio::error::operation_aborted) co_return;
    if (ec == chime::error::clock_was_set()) {
      ++noticed;
      std::puts("Somebody set the clock. Reading it again.");
      continue;
    }
    example::check(!ec, "a wait fails for no other reason");
    const auto now = clock::now();
    ++fired;
    print_time(tick.scheduled);
    std::printf(" and %s\n", example::human(now - tick.scheduled).c_str());
    example::check(tick.scheduled == next && now >= next,
                   "it fires at the full second, never before");
  }
  example::check(!set_clock_once || noticed > 0, "it notices that the clock was set");
}

}  // namespace

int main(int argc, char** argv) {
  const bool ci = example::in_ci(argc, argv);
  asio::io_context context{1};
  asio::signal_set interrupted{context, SIGINT, SIGTERM};
  interrupted.async_wait([&](auto, int) { context.stop(); });

  std::puts("Each full second of the wall clock, for as long as an hour. Ctrl-C ends it.");
  asio::co_spawn(context, every_full_second(ci ? 2 : 3600, ci), [&](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
    context.stop();
  });
  context.run();
}
