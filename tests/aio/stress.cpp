// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Rounds of submit, cancel and destroy at random moments, on two threads. Everything submitted completes
// once; no descriptor and no AIO context is left. CHIME_ROUNDS=100000 in the environment for as many.
#include "support/aio.hpp"
#include "support/kernel_timerfd.hpp"
#include "support/no_leak.hpp"
#include "support/sanitizer.hpp"
#include "support/seed.hpp"

#include <chime/aio_context.hpp>
#include <chime/basic_timer.hpp>
#include <chime/kernel/pooled_timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using chime::aio_operation;
using chime::error_code;
using support::pick;

class no_leaks : support::no_leak, support::no_aio_leak {};

int rounds(int by_default) {
  const char* const given = std::getenv("CHIME_ROUNDS");
  return given ? std::atoi(given) : by_default;
}

/// Threads that run a context until they are told not to.
class runners {
 public:
  explicit runners(asio::io_context& context) : work_{context.get_executor()} {
    for (auto& t : threads_) t = std::thread{[&context] { context.run(); }};
  }
  runners(const runners&) = delete;
  runners& operator=(const runners&) = delete;
  ~runners() { join(); }
  void join() {
    work_.reset();
    for (auto& t : threads_)
      if (t.joinable()) t.join();
  }

 private:
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::array<std::thread, 2> threads_;
};

}  // namespace

namespace {

/// Rounds of one thread, in a context that others run.
class worker {
 public:
  worker(asio::io_context& context, std::uint64_t seed) : context_{context}, random_{seed} {}

  void run(int rounds) {
    for (; rounds > 0; --rounds) {
      round();
      // A signal must outlive its operation.
      if (signals_.size() > 200 || rounds == 1) {
        while (completed_ < submitted_) std::this_thread::yield();
        signals_.clear();
      }
    }
  }

  [[nodiscard]] bool is_content() const { return completed_ == submitted_ && wrong_ == 0; }
  [[nodiscard]] long submitted() const { return submitted_; }

 private:
  void round() {
    chime::aio_context aio{context_, pick(random_, 1U, 8U)};
    const std::size_t first = signals_.size();
    for (int i = pick(random_, 0, 12); i > 0; --i)
      submit(aio, buffers_[static_cast<std::size_t>(i)]);
    for (std::size_t i = first; i < signals_.size(); ++i)
      if (pick(random_, 0, 1) == 0) signals_[i].emit(asio::cancellation_type::total);
    if (pick(random_, 0, 3) == 0) aio.cancel();
    if (pick(random_, 0, 3) == 0) std::this_thread::yield();
  }

  void submit(chime::aio_context& aio, std::array<char, 8>& buffer) {
    const std::array choices{aio_operation::poll(never_.get(), chime::aio_events::readable),
                             aio_operation::poll(ready_.get(), chime::aio_events::readable),
                             aio_operation::read(file_.get(), asio::buffer(buffer), 2),
                             aio_operation::sync_data(file_.get()),
                             aio_operation::read(-1, nullptr, 0, 0)};
    const auto slot = signals_.emplace_back().slot();
    ++submitted_;
    if (pick(random_, 0, 3) == 0) {
      const auto n = pick<std::size_t>(random_, 0, choices.size());
      const auto check = [this, n](error_code, const std::vector<chime::aio_result>& results) {
        wrong_ += results.size() != n;
        ++completed_;
      };
      aio.async_submit(std::span{choices}.first(n), asio::bind_cancellation_slot(slot, check));
      return;
    }
    const auto which = pick<std::size_t>(random_, 0, choices.size() - 1);
    const auto check = [this, which](error_code ec, std::size_t) {
      const bool is_aborted = ec == asio::error::operation_aborted;
      const bool is_fine = which == 0 ? is_aborted : which == 4 ? ec.failed() : !ec || is_aborted;
      wrong_ += !is_fine;
      ++completed_;
    };
    aio.async_submit(choices[which], asio::bind_cancellation_slot(slot, check));
  }

  asio::io_context& context_;
  std::mt19937_64 random_;
  chime::shim::descriptor file_ = support::temporary_file("hello world");
  chime::shim::descriptor ready_ = support::expired_timer();
  chime::shim::descriptor never_ = support::far_off_timer();
  std::array<std::array<char, 8>, 13> buffers_{};
  std::deque<asio::cancellation_signal> signals_;
  std::atomic<long> completed_ = 0;
  std::atomic<long> wrong_ = 0;
  long submitted_ = 0;
};

}  // namespace

// io_destroy waits for the kernel's RCU, 40 ms: so many threads at a time.
TEST_CASE_FIXTURE(no_leaks, "rounds of submit, cancel and destroy") {
  auto random = support::seeded("aio rounds");
  const int all = rounds(3000);
  const int at_a_time = support::thread_sanitizer ? 50 : 300;
  long submitted = 0;
  {
    asio::io_context context;
    runners running{context};
    std::deque<worker> workers;
    std::vector<std::thread> threads;
    for (int i = 0; i < at_a_time; ++i) workers.emplace_back(context, random());
    for (worker& w : workers) threads.emplace_back([&w, all] { w.run(all / at_a_time); });
    for (std::thread& t : threads) t.join();
    running.join();
    for (const worker& w : workers) {
      CHECK(w.is_content());
      submitted += w.submitted();
    }
  }
  std::printf("%d rounds, %ld operations or batches\n", all, submitted);
  CHECK_GT(submitted, all);
}

TEST_CASE_FIXTURE(no_leaks, "rounds of pooled timers: opened, waited for, cancelled, closed") {
  auto random = support::seeded("pooled rounds");
  using timer = chime::basic_timer<chime::kernel::pooled_timerfd<chime::monotonic_clock>>;
  using namespace std::chrono_literals;
  std::atomic<long> completed = 0;
  std::atomic<long> wrong = 0;
  long begun = 0;
  {
    asio::io_context context;
    runners running{context};
    std::vector<std::optional<timer>> timers(20);
    for (int round = rounds(20'000); round > 0; --round) {
      auto& t = timers[pick<std::size_t>(random, 0, timers.size() - 1)];
      switch (t ? pick(random, 0, 5) : 0) {
        case 0: t.emplace(context); break;
        case 1: t->expires_after(pick(random, 0, 3) * 20us); break;
        case 2: t->cancel(); break;
        case 3: t.reset(); break;
        default:
          ++begun;
          t->async_wait([&](error_code ec, auto e) {
            wrong += ec ? ec != asio::error::operation_aborted : e.expirations != 1;
            ++completed;
          });
      }
    }
    timers.clear();
    running.join();
  }
  CHECK_EQ(completed, begun);
  CHECK_EQ(wrong, 0);
}
