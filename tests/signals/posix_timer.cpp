// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// POSIX timers of the kernel tell by signals, and nobody feels one.
#include "signals/counting.hpp"
#include "signals/process.hpp"
#include "support/asio.hpp"
#include "support/in_child.hpp"
#include "support/least_used.hpp"
#include "support/sanitizer.hpp"
#include "support/skipped.hpp"

#include <chime/engine_options.hpp>
#include <chime/kernel/posix_timer.hpp>
#include <chime/posix_timer.hpp>
#include <chime/user/timerfd.hpp>
#include <chime/virtual_time.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::monotonic_clock;
using chime::nanoseconds;
using signals::counting;
using signals::leaves_no_trace;
using signals::setting;
using signals::timer;

/// A thread that does nothing but sleep, poll and read, and counts how often it is interrupted.
class sleeper {
 public:
  sleeper() {
    REQUIRE_EQ(::pipe2(pipe_.data(), O_CLOEXEC), 0);
    thread_ = std::thread{[this] { run(); }};
  }
  ~sleeper() {
    (void)stop();
    for (const int fd : pipe_) ::close(fd);
  }
  /// \return how often a system call said EINTR, of `calls()` that ended
  int stop() {
    stop_ = true;
    (void)!::write(pipe_[1], "x", 1);
    if (thread_.joinable()) thread_.join();
    return interrupted_;
  }
  [[nodiscard]] int calls() const { return calls_; }

 private:
  void run() {
    while (!stop_) {
      const ::timespec nap{0, 3'000'000};
      interrupted_ += ::nanosleep(&nap, nullptr) == -1;
      ::pollfd nothing{pipe_[0], POLLIN, 0};
      interrupted_ += ::poll(&nothing, 1, 3) == -1;
      calls_ += 2;
    }
    char c;
    interrupted_ += ::read(pipe_[0], &c, 1) == -1;  // blocks, unless it was told to stop
  }

  std::array<int, 2> pipe_{};
  std::atomic<bool> stop_ = false;
  std::atomic<int> interrupted_ = 0;
  std::atomic<int> calls_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE_FIXTURE(leaves_no_trace,
                  "no system call of another thread is interrupted by 1000 timers at 1 ms") {
  asio::io_context context;
  std::vector<std::unique_ptr<counting>> timers;
  {
    sleeper other;
    const auto first = monotonic_clock::now() + 5ms;
    for (int i = 0; i < 1000; ++i) {
      timers.push_back(std::make_unique<counting>(context));
      timers.back()->start(first + i * 1us, 1ms);
    }
    context.run_for(1s);
    CHECK_EQ(other.stop(), 0);
    CHECK_GT(other.calls(), 10);
  }
  CHECK(std::ranges::all_of(timers, [](auto& t) { return t->stop(); }));
}

TEST_CASE_FIXTURE(leaves_no_trace,
                  "10,000 timers at once, and every expiration of each is counted (E4)") {
  ::rlimit queued{};
  ::getrlimit(RLIMIT_SIGPENDING, &queued);
  if (queued.rlim_cur < 11'000) {
    support::skipped("10,000 POSIX timers: RLIMIT_SIGPENDING is lower");
    return;
  }
  asio::io_context context;
  std::vector<std::unique_ptr<counting>> timers;
  for (int i = 0; i < 10'000; ++i) timers.push_back(std::make_unique<counting>(context));
  const auto first = monotonic_clock::now() + 10ms;
  for (std::size_t i = 0; i < timers.size(); ++i) timers[i]->start(first + i * 5us, 50ms);
  context.run_for(500ms);
  CHECK(std::ranges::all_of(timers, [](auto& t) { return t->stop(); }));
}

TEST_CASE_FIXTURE(leaves_no_trace,
                  "P4: no expiration of an earlier setting comes through, however it races") {
  asio::io_context context;
  timer t{context};
  int stale = 0;
  for (int i = 0; i < 3000; ++i) {
    t.expires_every(1us + i % 50 * 1us);
    const auto until = monotonic_clock::now() + 20us;
    while (monotonic_clock::now() < until) continue;
    t.expires_after(1h);
    stale += t.is_ready() || t.try_take();
  }
  CHECK_EQ(stale, 0);
  // Nor does one come later: not before another timer's, which was told after it.
  support::outcome<monotonic_clock> of_t, of_other;
  t.async_wait(of_t.handler());
  timer other{context};
  other.expires_after(1ms);
  other.async_wait(of_other.handler());
  support::run_until(context, [&] { return of_other.calls == 1; });
  CHECK_EQ(of_t.calls, 0);
  CHECK_FALSE(t.try_take());
}

TEST_CASE_FIXTURE(
    leaves_no_trace,
    "a timer that nobody takes from does not keep the machine busy, and loses nothing") {
  asio::io_context context;
  timer t{context};
  const auto first = monotonic_clock::now() + 1ms;
  t.set(setting::at(first, 1us));
  std::this_thread::sleep_for(5ms);
  CHECK_LT(support::least_used<chime::process_cpu_clock>([] { std::this_thread::sleep_for(60ms); }),
           20ms);
  CHECK_LE(t.get().value, 1us);
  std::uint64_t total = 0;
  for (int i = 0; i < 100; ++i)
    if (const auto e = t.try_take()) total += e->expirations;
  const auto now = monotonic_clock::now();
  if (const auto e = t.try_take()) total += e->expirations;
  CHECK_GE(total, static_cast<std::uint64_t>((now - first) / 1us) + 1);
  CHECK_LE(total, static_cast<std::uint64_t>((monotonic_clock::now() - first) / 1us) + 1);
}

TEST_CASE_FIXTURE(leaves_no_trace, "P10: a forked child has none of them, and may have its own") {
  if (support::thread_sanitizer) {
    support::skipped("fork: ThreadSanitizer starts no thread in a forked child");
    return;
  }
  asio::io_context context;
  timer t{context};
  t.expires_every(1ms);
  context.notify_fork(asio::io_context::fork_prepare);
  const int child = support::in_child([&] {
    context.notify_fork(asio::io_context::fork_child);
    chime::error_code ec;
    t.get(ec);
    if (ec.value() != EINVAL) return 1;
    asio::io_context other;
    timer mine{other};
    mine.expires_after(1ms);
    support::outcome<monotonic_clock> seen;
    mine.async_wait(seen.handler());
    other.run_for(support::slack);
    if (seen.calls != 1 || seen.error) return 2;
    t.close();  // must not delete the child's own timer, whose id may be the same
    mine.expires_after(1ms, ec);
    if (ec) return 3;
    mine.async_wait(seen.handler());
    other.restart();
    other.run_for(support::slack);
    return seen.calls == 2 && !seen.error ? 0 : 4;
  });
  CHECK_EQ(child, 0);
  context.notify_fork(asio::io_context::fork_parent);
  support::outcome<monotonic_clock> seen;
  t.async_wait(seen.handler());
  support::run_until(context, [&] { return seen.calls == 1; });
  CHECK_FALSE(seen.error);
}

TEST_CASE_FIXTURE(leaves_no_trace,
                  "a timer of a thread's CPU time counts that thread's, whoever asks") {
  using thread_timer = chime::basic_timer<chime::kernel::posix_timer<chime::thread_cpu_clock>>;
  asio::io_context context;
  thread_timer t{context};
  const auto set_at = chime::thread_cpu_clock::now();
  t.expires_after(30ms);
  const auto is_early = [&] { return t.is_ready() && t.now() - set_at < 30ms; };
  std::thread other{[&] {  // uses as much, which does not count
    const auto burn = [](nanoseconds d) {
      const auto start = chime::thread_cpu_clock::now();
      while (chime::thread_cpu_clock::now() - start < d) continue;
    };
    burn(20ms);
    const auto before = t.now();  // the opening thread's clock, which stands: it joins
    burn(20ms);
    CHECK_LT(t.now() - before, 10ms);
    CHECK_FALSE(is_early());
  }};
  other.join();
  CHECK_FALSE(is_early());
  while (!t.is_ready() && chime::thread_cpu_clock::now() - set_at < support::slack) continue;
  CHECK_GE(chime::thread_cpu_clock::now() - set_at, 30ms);
  CHECK_EQ(t.try_take()->expirations, 1);
}

TEST_CASE_FIXTURE(leaves_no_trace, "the signal can be chosen while there are no timers") {
  chime::error_code ec;
  for (const int bad : {0, -1, 65, SIGKILL, SIGSTOP, SIGALRM, SIGVTALRM, SIGPROF, SIGSEGV}) {
    CAPTURE(bad);
    chime::kernel::use_timer_signal(bad, ec);
    CHECK_EQ(ec.value(), EINVAL);
  }
  chime::kernel::use_timer_signal(SIGRTMIN + 3, ec);
  CHECK_FALSE(ec);
  {
    asio::io_context context;
    timer t{context};
    chime::kernel::use_timer_signal(SIGRTMAX, ec);
    CHECK_EQ(ec.value(), EBUSY);
    t.expires_after(1ms);
    support::outcome<monotonic_clock> seen;
    t.async_wait(seen.handler());
    support::run_out(context);
    CHECK_EQ(seen.calls, 1);
  }
  chime::kernel::use_timer_signal(SIGRTMAX);
}

TEST_CASE_FIXTURE(leaves_no_trace, "a blocking wait comes back at the expiry, and not before") {
  asio::io_context context;
  timer t{context};
  for (int i = 0; i < 20; ++i) {
    const auto before = monotonic_clock::now();
    t.expires_after(2ms);
    const auto e = t.wait();
    CHECK_GE(monotonic_clock::now() - before, 2ms);
    CHECK_EQ(e.expirations, 1);
  }
}

TEST_CASE_FIXTURE(leaves_no_trace, "timers of many threads come and go while others expire") {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        asio::io_context context;
        counting a{context}, b{context};
        a.start(monotonic_clock::now() + 100us, 200us * (i + 1));
        b.start(monotonic_clock::now() + 50us, 70us);
        context.run_for(3ms);
        wrong += !a.stop();
        wrong += !b.stop();
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK_EQ(wrong, 0);
}

TEST_CASE_FIXTURE(leaves_no_trace, "named outright, the kernel keeps it though time is virtual") {
  asio::io_context context;
  chime::virtual_time time{context};
  timer t{context};
  t.expires_after(5ms);
  support::outcome<monotonic_clock> seen;
  t.async_wait(seen.handler());
  context.run();  // the wait is work
  CHECK_EQ(seen.calls, 1);
  CHECK_FALSE(seen.error);
}

TEST_CASE_FIXTURE(leaves_no_trace,
                  "a context of one thread takes locks once there is such a timer") {
  asio::io_context context{1};
  chime::configure_engine(context, {.single_threaded = true});
  chime::basic_timer<chime::user::timerfd<monotonic_clock>> first{context};
  std::vector<std::unique_ptr<counting>> timers;
  first.expires_after(1ms);
  first.async_wait([&](auto, auto) {  // opened while the engine serves without a lock
    const auto at = monotonic_clock::now() + 1ms;
    for (int i = 0; i < 20; ++i) {
      timers.push_back(std::make_unique<counting>(context));
      timers.back()->start(at + i * 7us, 150us);
    }
  });
  context.run_for(200ms);
  CHECK_EQ(timers.size(), 20);
  CHECK(std::ranges::all_of(timers, [](auto& t) { return t->stop(); }));
}
