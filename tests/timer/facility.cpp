// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// basic_timer on a facility that is neither the kernel's nor has a descriptor, and that can be held
// up at the very moment at which a wait begins.
#include "support/asio.hpp"

#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>

#include <doctest/doctest.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using std::chrono::steady_clock;

// Holds a wait up on its way into the facility until somebody has cancelled the facility. A timer
// that does not let anybody do so meanwhile is right; so after a while the wait goes on anyway.
struct hold_up {
  static inline std::atomic<bool> on = false;
  static inline std::atomic<bool> reached = false;
  static inline std::atomic<bool> cancelled = false;

  static void pass() {
    if (!on.exchange(false)) return;
    cancelled = false;
    reached = true;
    const auto patience = steady_clock::now() + 50ms;
    while (!cancelled && steady_clock::now() < patience) std::this_thread::yield();
  }
};

// Due as soon as it is armed.
class manual {
 public:
  using clock_type = chime::monotonic_clock;
  using setting = chime::setting<clock_type>;
  using expiry = chime::expiry<clock_type>;

  manual(const asio::any_io_executor& executor, error_code& ec) : bell_{executor} { ec = {}; }

  setting set(const setting& wanted, error_code& ec) {
    ec = {};
    const std::lock_guard lock{mutex_};
    due_ = wanted.is_armed();
    if (due_) ring();
    return {};
  }
  setting get(error_code& ec) {
    ec = {};
    return {};
  }
  expiry take(error_code& ec) {
    ec = {};
    const std::lock_guard lock{mutex_};
    return {std::exchange(due_, false) ? 1U : 0U, {}};
  }

  template <class Handler>
  void async_ready(Handler&& handler) {
    hold_up::pass();
    const std::lock_guard lock{mutex_};
    bell_.expires_at(steady_clock::time_point::max());
    bell_.async_wait([this, h = std::forward<Handler>(handler)](error_code ec) mutable {
      if (was_rung()) ec = {};
      std::move(h)(ec);
    });
    if (due_) ring();
  }
  void cancel() {
    const std::lock_guard lock{mutex_};
    bell_.cancel();
    hold_up::cancelled = true;
  }
  void close() { cancel(); }

 private:
  bool was_rung() {
    const std::lock_guard lock{mutex_};
    return std::exchange(rung_, false);
  }
  void ring() {
    if (bell_.cancel() > 0) rung_ = true;
  }

  std::mutex mutex_;
  asio::steady_timer bell_;
  bool rung_ = false;
  bool due_ = false;
};

template <class Timer>
concept has_descriptor =
    requires(Timer t) { t.native_handle(); } || requires(Timer t) { t.release(); };

using timer = chime::basic_timer<manual>;
static_assert(!has_descriptor<timer>);
using expiry = timer::expiry_type;

// Two waits; the first completes, and the second is on its way into the facility when `interfere`
// is called by another thread. It must end with operation_aborted.
void check_ends(const std::function<void(timer&, asio::cancellation_signal&)>& interfere) {
  asio::io_context context;
  timer t{context};
  asio::cancellation_signal signal;
  std::atomic<int> first = 0;
  std::atomic<int> second = 0;
  error_code seen;
  t.async_wait([&](error_code ec, expiry e) {
    CHECK_FALSE(ec);
    CHECK(e.expirations == 1);
    first = 1;
  });
  t.async_wait(asio::bind_cancellation_slot(signal.slot(), [&](error_code ec, expiry) {
    seen = ec;
    second = 1;
  }));
  context.poll();
  hold_up::reached = false;
  hold_up::on = true;
  t.expires_after(1s);
  std::thread runner{[&] { context.run_for(support::slack); }};
  const auto patience = steady_clock::now() + support::slack;
  while (!hold_up::reached && steady_clock::now() < patience) std::this_thread::yield();
  interfere(t, signal);
  const auto soon = steady_clock::now() + 1s;
  while (!second && steady_clock::now() < soon) std::this_thread::yield();
  const bool ended = second;
  t.cancel();  // so that the thread ends even if that was lost
  runner.join();
  CHECK(hold_up::reached);
  CHECK(first == 1);
  CHECK(ended);
  CHECK(seen == asio::error::operation_aborted);
}

}  // namespace

TEST_CASE("a facility may be anything that sets, takes and tells when to take") {
  asio::io_context context;
  timer t{context};
  int calls = 0;
  for (int i = 0; i < 3; ++i) t.async_wait([&](error_code ec, expiry) { calls += !ec; });
  for (int i = 0; i < 3; ++i) {
    t.expires_after(1s);
    support::run_until(context, [&] { return calls == i + 1; });
  }
}

TEST_CASE(
    "W3 cancel comes before a wait begins at the facility or after it, but is not lost between") {
  check_ends([](timer& t, asio::cancellation_signal&) { t.cancel(); });
}

TEST_CASE("W4 so does close") {
  check_ends([](timer& t, asio::cancellation_signal&) { t.close(); });
}

TEST_CASE("W3 so does the emission of a slot") {
  check_ends([](timer&, asio::cancellation_signal& signal) {
    signal.emit(asio::cancellation_type::total);
  });
}
