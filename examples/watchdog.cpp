// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A watchdog: whoever is watched strokes it, by setting it anew, and it barks when nobody has for
// too long. Here it watches a loop that hangs now and then, from another thread, and tells a hang in
// which the process computes from one in which it only waits: by a timer of its CPU time.

#include <chime/chime.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <support/check.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 100ms;

class watchdog {
 public:
  explicit watchdog(asio::io_context& context) : since_stroke_{context}, cpu_{context} {
    stroke();
    asio::co_spawn(context, watch(), [](std::exception_ptr e) {
      if (e) std::rethrow_exception(e);
    });
  }

  /// Called by the thread that is watched. Setting a timer does not end the wait for it.
  void stroke() {
    cpu_.expires_after(patience / 20);
    since_stroke_.expires_after(patience);
  }

  [[nodiscard]] int busy_hangs() const { return busy_; }
  [[nodiscard]] int idle_hangs() const { return idle_; }

 private:
  asio::awaitable<void> watch() {
    for (;;) {
      const auto bark = co_await since_stroke_.async_wait();
      const auto late = chime::monotonic_clock::now() - bark.scheduled;
      const bool computes = cpu_.try_take().has_value();
      ++(computes ? busy_ : idle_);
      std::printf("no sign of life for %lld ms (and %.1f): it %s\n",
                  static_cast<long long>(patience / 1ms), static_cast<double>(late.count()) / 1e6,
                  computes ? "computes" : "waits");
    }
  }

  chime::timerfd<chime::monotonic_clock> since_stroke_;
  chime::posix_timer<chime::process_cpu_clock> cpu_;
  std::atomic<int> busy_ = 0;
  std::atomic<int> idle_ = 0;
};

}  // namespace

int main() {
  asio::io_context context{1};
  watchdog dog{context};
  std::thread watching{[&] { context.run(); }};

  for (int i = 0; i < 20; ++i) {
    dog.stroke();
    if (i == 7) {
      std::this_thread::sleep_for(2 * patience);  // hangs, waiting
    } else if (i == 14) {
      const auto start = chime::process_cpu_clock::now();
      const auto begin = chime::monotonic_clock::now();
      while (chime::process_cpu_clock::now() - start < 2 * patience ||
             chime::monotonic_clock::now() - begin < 2 * patience)
        continue;  // hangs, computing
    } else {
      std::this_thread::sleep_for(5ms);
    }
  }
  context.stop();
  watching.join();
  std::printf("%d hangs while waiting, %d while computing\n", dog.idle_hangs(), dog.busy_hangs());
  example::check(dog.idle_hangs() >= 1, "the hang that waited was noticed");
  example::check(dog.busy_hangs() >= 1, "the hang that computed was noticed, and told apart");
}
