// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Waits that complete on several threads beside calls on their timer. One thread at a time calls
// the timer; the handlers run wherever they like. For ThreadSanitizer first, but what is counted
// must be exact anyway.
#include "support/asio.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using chime::monotonic_clock;
using std::chrono::steady_clock;

using timer = chime::timerfd<monotonic_clock>;
using setting = timer::setting_type;
using expiry = timer::expiry_type;

// How long each test goes on making the threads collide.
constexpr auto effort = 400ms;

// A context that several threads run.
class crowd {
 public:
  explicit crowd(int threads = 3) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { context_.run(); });
  }
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;
  ~crowd() {
    work_.reset();
    context_.stop();
    for (auto& thread : threads_) thread.join();
  }

  [[nodiscard]] asio::io_context& context() { return context_; }

 private:
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::vector<std::thread> threads_;
};

// Lets the other threads run until `done()`. False where it never comes.
template <class Done>
[[nodiscard]] bool await(Done done) {
  const auto deadline = steady_clock::now() + support::slack;
  while (!done()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// Small numbers in no particular order; the same each run.
class dice {
 public:
  std::uint32_t roll(std::uint32_t sides) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::uint32_t>(state_ >> 33U) % sides;
  }

 private:
  std::uint64_t state_ = 20260101;
};

}  // namespace

TEST_CASE(
    "W2 E4 nothing is lost or told twice while waits complete, are cancelled, and others take") {
  crowd threads;
  timer t{threads.context()};
  std::atomic<std::uint64_t> taken = 0;
  std::atomic<std::uint64_t> begun = 0;
  std::atomic<std::uint64_t> ended = 0;
  const auto first = monotonic_clock::now() + 100us;
  constexpr std::chrono::nanoseconds interval = 20us;
  t.set(setting::at(first, interval));
  dice random;
  std::atomic<std::uint64_t> aborted = 0;
  const auto end = steady_clock::now() + effort;
  while (steady_clock::now() < end || begun < 100 || aborted == 0) {
    switch (random.roll(8)) {
      case 0: t.cancel(); break;
      case 1:
        if (const auto seen = t.try_take()) {
          taken += seen->expirations;
        }
        break;
      case 2: CHECK(t.get().interval == interval); break;
      default:
        if (begun - ended > 8) {
          std::this_thread::yield();
          break;
        }
        ++begun;
        t.async_wait([&](error_code ec, expiry e) {
          if (ec)
            ++aborted;
          else
            taken += e.expirations;
          if (ec && (ec != asio::error::operation_aborted || e.expirations != 0)) std::abort();
          if (!ec && e.expirations == 0) std::abort();
          ++ended;
        });
    }
  }
  t.cancel();
  REQUIRE(await([&] { return begun == ended; }));
  support::until_due(t);
  const auto before = monotonic_clock::now();
  const auto rest = t.try_take();
  const auto after = monotonic_clock::now();
  REQUIRE(rest);
  const auto total = taken + rest->expirations;
  const auto expected = [&](auto now) {
    return chime::rules::expirations_by(first.time_since_epoch(), interval, now.time_since_epoch());
  };
  CHECK(total >= expected(before));
  CHECK(total <= expected(after));
  CHECK(rest->scheduled == first + (total - 1) * interval);
  CHECK(aborted > 0);
}

TEST_CASE("W4 what a wait reports is of one setting, however often the timer is set meanwhile") {
  crowd threads;
  timer t{threads.context()};
  std::atomic<std::int64_t> newest = 0;
  std::atomic<std::int64_t> last_seen = 0;
  std::atomic<int> wrong = 0;
  std::atomic<std::uint64_t> begun = 0;
  std::atomic<std::uint64_t> ended = 0;
  const auto end = steady_clock::now() + effort;
  while (steady_clock::now() < end || newest < 1000) {
    while (begun - ended < 4) {
      ++begun;
      t.async_wait([&](error_code ec, expiry e) {
        const auto seen = e.scheduled.time_since_epoch().count();
        // Each setting expires once, and settings are numbered by their deadlines.
        wrong += ec || e.expirations != 1 || seen < 1 || seen > newest;
        ++last_seen;
        ++ended;
      });
    }
    const auto number = newest + 1;
    newest = number;
    t.expires_at(timer::time_point{std::chrono::nanoseconds{number}});
  }
  // Those that are still waiting are served one after the other.
  const bool all = await([&] {
    if (begun == ended) return true;
    const auto number = newest + 1;
    newest = number;
    t.expires_at(timer::time_point{std::chrono::nanoseconds{number}});
    std::this_thread::yield();
    return false;
  });
  REQUIRE(all);
  CHECK(wrong == 0);
  CHECK(last_seen <= newest);
  CHECK(last_seen > 0);
}

TEST_CASE("W4 closing, destroying and moving race with completions: each handler is called once") {
  crowd threads;
  dice random;
  std::atomic<std::uint64_t> begun = 0;
  std::atomic<std::uint64_t> ended = 0;
  std::atomic<int> wrong = 0;
  const auto end = steady_clock::now() + effort;
  std::uint64_t rounds = 0;
  for (; steady_clock::now() < end || rounds < 20; ++rounds) {
    std::optional<timer> t{threads.context()};
    const auto waits = 1 + random.roll(4);
    for (std::uint32_t i = 0; i < waits; ++i) {
      ++begun;
      t->async_wait([&](error_code ec, expiry e) {
        wrong += ec ? ec != asio::error::operation_aborted : e.expirations == 0;
        ++ended;
      });
    }
    t->expires_every(std::chrono::nanoseconds{1 + random.roll(30000)});
    for (auto i = random.roll(20); i > 0; --i) std::this_thread::yield();
    switch (random.roll(4)) {
      case 0: t->close(); break;
      case 1: {
        const chime::shim::descriptor released{t->release()};
        break;
      }
      case 2: {
        timer elsewhere{std::move(*t)};
        elsewhere.cancel();
        break;
      }
      case 3: break;
    }
  }
  REQUIRE(await([&] { return begun == ended; }));
  CHECK(wrong == 0);
}

TEST_CASE(
    "W3 slots that are emitted on their handlers' strands race with completions: all or nothing") {
  crowd threads;
  timer t{threads.context()};
  const auto first = monotonic_clock::now() + 50us;
  constexpr std::chrono::nanoseconds interval = 20us;
  t.set(setting::at(first, interval));
  struct wait {
    asio::strand<asio::any_io_executor> strand;
    asio::cancellation_signal signal;
    std::atomic<int> calls = 0;
  };
  dice random;
  std::atomic<std::uint64_t> taken = 0;
  std::atomic<std::uint64_t> aborted = 0;
  const auto end = steady_clock::now() + effort;
  std::uint64_t rounds = 0;
  for (; steady_clock::now() < end || rounds < 20; ++rounds) {
    std::array<std::shared_ptr<wait>, 3> waits;
    for (auto& w : waits) {
      w = std::make_shared<wait>(asio::make_strand(t.get_executor()));
      t.async_wait(asio::bind_cancellation_slot(
          w->signal.slot(), asio::bind_executor(w->strand, [&, w](error_code ec, expiry e) {
            ++w->calls;
            taken += e.expirations;
            aborted += ec == asio::error::operation_aborted;
          })));
    }
    for (int i = 0; i < 3; ++i) {
      const auto& victim = waits[random.roll(3)];
      asio::post(victim->strand, [victim] { victim->signal.emit(asio::cancellation_type::total); });
    }
    REQUIRE(await([&] { return waits[0]->calls + waits[1]->calls + waits[2]->calls == 3; }));
    for (const auto& w : waits) CHECK(w->calls == 1);
    // Their slots go only when the emissions have run.
    REQUIRE(await([&] {
      for (const auto& w : waits)
        if (w.use_count() > 1) return false;
      return true;
    }));
  }
  support::until_due(t);
  const auto before = monotonic_clock::now();
  const auto rest = t.try_take();
  const auto after = monotonic_clock::now();
  REQUIRE(rest);
  const auto total = taken + rest->expirations;
  const auto expected = [&](auto now) {
    return chime::rules::expirations_by(first.time_since_epoch(), interval, now.time_since_epoch());
  };
  CHECK(total >= expected(before));
  CHECK(total <= expected(after));
}

TEST_CASE("W3 a slot that is emitted while its wait goes back to the kernel still ends it") {
  crowd threads{2};
  timer t{threads.context()};
  dice random;
  const auto end = steady_clock::now() + effort;
  int rounds = 0;
  for (; steady_clock::now() < end || rounds < 20; ++rounds) {
    std::array<asio::cancellation_signal, 2> signals;
    std::array<std::atomic<int>, 2> calls{};
    for (std::size_t i = 0; i < 2; ++i) {
      t.async_wait(asio::bind_cancellation_slot(signals[i].slot(),
                                                [&, i](error_code, expiry) { ++calls[i]; }));
    }
    // The first is woken in vain, and the second gets its turn, while the slots are emitted.
    t.expires_at(timer::time_point{1ns});
    t.expires_after(1h);
    for (auto i = random.roll(2000); i > 0; --i)
      std::atomic_thread_fence(std::memory_order_seq_cst);
    signals[0].emit(asio::cancellation_type::total);
    for (auto i = random.roll(2000); i > 0; --i)
      std::atomic_thread_fence(std::memory_order_seq_cst);
    signals[1].emit(asio::cancellation_type::total);
    const bool ended = await([&] { return calls[0] == 1 && calls[1] == 1; });
    if (!ended) {
      t.cancel();
      REQUIRE(await([&] { return calls[0] == 1 && calls[1] == 1; }));
    }
    REQUIRE_MESSAGE(ended, "a cancellation was lost in round " << rounds);
  }
}

TEST_CASE(
    "W2 handlers on several threads wait again: the timer is called under a strand, or a lock") {
  crowd threads;
  timer t{threads.context()};
  std::mutex calls_timer;
  std::atomic<std::uint64_t> taken = 0;
  std::atomic<int> left = 400;
  std::atomic<int> running = 0;
  const auto first = monotonic_clock::now() + 100us;
  constexpr std::chrono::nanoseconds interval = 20us;
  struct again {
    timer& t;
    std::mutex& calls_timer;
    std::atomic<std::uint64_t>& taken;
    std::atomic<int>& left;
    std::atomic<int>& running;
    void operator()(error_code ec, expiry e) const {
      if (!ec) taken += e.expirations;
      if (--left > 0) {
        const std::lock_guard lock{calls_timer};
        t.async_wait(again{*this});
      } else {
        --running;
      }
    }
  };
  {
    const std::lock_guard lock{calls_timer};
    t.set(setting::at(first, interval));
    for (int i = 0; i < 4; ++i) {
      ++running;
      t.async_wait(again{t, calls_timer, taken, left, running});
    }
  }
  REQUIRE(await([&] { return running == 0; }));
  const auto last = t.wait();
  CHECK(last.scheduled == first + (taken + last.expirations - 1) * interval);
}
