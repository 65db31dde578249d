// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// POSIX timers of the kernel at their limits: as fast, as many and as short-lived as can be.
// CHIME_ROUNDS sets how often the random ones go round; 100,000 is a good long run.
#include "signals/counting.hpp"
#include "signals/process.hpp"
#include "support/asio.hpp"
#include "support/in_child.hpp"
#include "support/sanitizer.hpp"
#include "support/seed.hpp"
#include "support/skipped.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using signals::counting;
using signals::leaves_no_trace;
using signals::monotonic_clock;
using signals::nanoseconds;
using signals::setting;
using signals::timer;

int rounds() {
  const char* const given = std::getenv("CHIME_ROUNDS");
  return given ? std::atoi(given) : 3000;
}

void spin_until(monotonic_clock::time_point when) {
  while (monotonic_clock::now() < when) continue;
}

/// How many signals this user may have queued, POSIX timers among them, beside those he has.
std::uint64_t queued_signals() {
  std::ifstream status{"/proc/self/status"};
  for (std::string word; status >> word;) {
    if (word != "SigQ:") continue;
    std::uint64_t n = 0;
    status >> n;
    return n;
  }
  return 0;
}

}  // namespace

TEST_CASE_FIXTURE(leaves_no_trace, "100 timers every nanosecond: no expiration is lost") {
  asio::io_context context;
  std::vector<std::unique_ptr<counting>> timers;
  for (int i = 0; i < 100; ++i) timers.push_back(std::make_unique<counting>(context));
  const auto first = monotonic_clock::now() + 1ms;
  for (auto& t : timers) t->start(first, 1ns);
  context.run_for(200ms);
  CHECK(std::ranges::all_of(timers, [](auto& t) { return t->stop(); }));
}

TEST_CASE_FIXTURE(
    leaves_no_trace,
    "a timer is destroyed while its signal is in flight, and no stranger hears of it") {
  auto random = support::seeded("signals in flight");
  asio::io_context context;
  timer anchor{context};  // keeps the hidden thread
  int early = 0, late_heard = 0;
  for (int i = 0, n = rounds(); i < n; ++i) {
    std::optional<timer> brief{context};
    const auto deadline = monotonic_clock::now() + support::pick(random, 0, 30'000) * 1ns;
    brief->set(setting::at(deadline, support::pick(random, 0, 2) * 1us));
    support::outcome<monotonic_clock> seen;
    brief->async_wait(seen.handler());
    if (support::pick(random, 0, 1)) context.poll();
    spin_until(monotonic_clock::now() + support::pick(random, 0, 40'000) * 1ns);
    // Its kernel number, and what is on its way, may be taken for this one's.
    brief.reset();
    timer stranger{context};
    stranger.expires_after(1h);
    late_heard += stranger.is_ready();
    support::run_until(context, [&] { return seen.calls == 1; });
    if (!seen.error) early += monotonic_clock::now() < deadline || seen.expiry.expirations == 0;
    late_heard += stranger.try_take().has_value();
  }
  CHECK_EQ(early, 0);
  CHECK_EQ(late_heard, 0);
}

TEST_CASE_FIXTURE(leaves_no_trace,
                  "as many timers as RLIMIT_SIGPENDING lets one have: then EAGAIN") {
  if (support::thread_sanitizer) {
    support::skipped("fork: ThreadSanitizer starts no thread in a forked child");
    return;
  }
  const int outcome = support::in_child([] {
    const std::uint64_t used = queued_signals();
    const ::rlimit limit{used + 50, used + 50};
    if (::setrlimit(RLIMIT_SIGPENDING, &limit) != 0) return 1;
    asio::io_context context;
    const auto fill = [&] {
      std::vector<std::unique_ptr<timer>> timers;
      for (;;) {
        chime::error_code ec;
        auto t = std::make_unique<timer>(context, ec);
        if (!ec) {
          timers.push_back(std::move(t));
          continue;
        }
        // What is there still works.
        timers.front()->expires_after(1ms);
        const bool works = timers.front()->wait().expirations == 1;
        return ec.value() == EAGAIN && !t->is_open() && works ? timers.size() : 0;
      }
    };
    const auto first = fill();
    if (first == 0 || first > 50) return 2;
    for (int i = 0; i < 100; ++i)
      if (fill() < first - 5) return 3;  // others of this user may come and go
    return 0;
  });
  CHECK_EQ(outcome, 0);
}
