// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// 100,000 coroutines in periodic waits on one thread, engine-kept: aligned and spread at 100 ms, then at
// 10 ms, which is more than a core can do. Fails where an expiration is not accounted for, where
// the heap is used in steady state, or where I/O on the same context is not served.
// Usage: crowd [coroutines]

#include "../timer/heap.hpp"

#include <chime/basic_timer.hpp>
#include <chime/engine_options.hpp>
#include <chime/rules.hpp>
#include <chime/user/timerfd.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/writable_pipe.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::nanoseconds;

namespace {

using clock_type = chime::monotonic_clock;
using timer = chime::basic_timer<chime::user::timerfd<clock_type>>;

class crowd {
 public:
  crowd(std::size_t size, nanoseconds interval, bool is_spread)
      : interval_{interval}, members_(size) {
    chime::configure_engine(context_, {.single_threaded = true});
    const auto first = clock_type::now() + 500ms;
    for (std::size_t i = 0; i < size; ++i) {
      const auto share =
          is_spread ? interval * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(size)
                    : 0ns;
      asio::co_spawn(context_, beat(members_[i], first + share), asio::detached);
    }
  }

  bool run(const char* name, nanoseconds length) {
    asio::connect_pipe(reader_, writer_);
    asio::co_spawn(context_, echo(), asio::detached);
    timer steady{context_};
    std::uint64_t before = 0;
    steady.expires_after(600ms + length / 2);
    steady.async_wait([&](auto, auto) { before = heap_allocations(); });
    timer end{context_};
    end.expires_after(600ms + length);
    std::uint64_t allocated = 0;
    end.async_wait([&](auto, auto) {
      allocated = heap_allocations() - before;
      stop_ = true;
      writer_.close();
    });
    context_.run();

    std::uint64_t expirations = 0;
    std::uint64_t by_rule = 0;
    std::uint64_t waits = 0;
    for (const member& m : members_) {
      expirations += m.expirations;
      by_rule += m.by_rule;
      waits += m.waits;
    }
    std::printf(
        "crowd %s: %zu coroutines every %lld ms: %llu expirations in %llu waits, %llu by the "
        "rule; %llu allocations; %d echoes, the slowest %.1f ms\n",
        name, members_.size(), static_cast<long long>(interval_ / 1ms),
        static_cast<unsigned long long>(expirations), static_cast<unsigned long long>(waits),
        static_cast<unsigned long long>(by_rule), static_cast<unsigned long long>(allocated),
        echoes_, std::chrono::duration<double, std::milli>{slowest_}.count());
    // Asio keeps two pieces of memory a thread for its operations. Now and then the engine's sleep
    // is given the one that was a wait's, which then takes a new one: of a million waits it is one or two.
    const bool is_steady = allocated <= waits / 10'000;
    return expirations == by_rule && expirations > 0 && is_steady && echoes_ > 5;
  }

 private:
  struct member {
    std::uint64_t expirations = 0;
    std::uint64_t by_rule = 0;
    std::uint64_t waits = 0;
  };

  asio::awaitable<void> beat(member& me, clock_type::time_point first) {
    timer t{co_await asio::this_coro::executor};
    t.set(timer::setting_type::at(first, interval_));
    while (!stop_) {
      const auto e = co_await t.async_wait();
      me.expirations += e.expirations;
      me.by_rule = chime::rules::expirations_by(first.time_since_epoch(), interval_,
                                                e.scheduled.time_since_epoch());
      ++me.waits;
    }
  }

  // A byte goes round through a pipe, as long as the other end is open.
  asio::awaitable<void> echo() {
    char byte = 0;
    for (boost::system::error_code ec; !ec;) {
      const auto sent = clock_type::now();
      co_await writer_.async_write_some(asio::buffer(&byte, 1),
                                        asio::redirect_error(asio::use_awaitable, ec));
      if (ec) break;
      co_await reader_.async_read_some(asio::buffer(&byte, 1),
                                       asio::redirect_error(asio::use_awaitable, ec));
      slowest_ = std::max(slowest_, clock_type::now() - sent);
      ++echoes_;
    }
  }

  nanoseconds interval_;
  asio::io_context context_{1};
  std::vector<member> members_;
  asio::readable_pipe reader_{context_};
  asio::writable_pipe writer_{context_};
  bool stop_ = false;
  int echoes_ = 0;
  nanoseconds slowest_{};
};

}  // namespace

int main(int argc, char** argv) {
  const std::size_t size = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  bool ok = true;
  ok = crowd{size, 100ms, false}.run("aligned", 1500ms) && ok;
  ok = crowd{size, 100ms, true}.run("spread", 1500ms) && ok;
  ok = crowd{size, 10ms, true}.run("too much", 1500ms) && ok;
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
