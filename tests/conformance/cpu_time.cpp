// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// CPU clocks in real time: nothing tells the engine when they reach a deadline, so it looks again.
#include "support/least_used.hpp"
#include "worlds.hpp"

#include <chime/engine/cpu_look.hpp>
#include <chime/posix_timer.hpp>
#include <chime/thread_clock.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <type_traits>

using namespace conformance;

namespace {

// Uses CPU time of this thread, in user mode, while handlers run in between.
template <class Done>
void burn_until(asio::io_context& context, Done done) {
  const auto patience = std::chrono::steady_clock::now() + support::slack;
  while (!done() && std::chrono::steady_clock::now() < patience) {
    volatile unsigned sink = 0;
    for (unsigned i = 0; i < 100'000; ++i) sink = sink + i;
    context.restart();
    context.poll();
  }
  REQUIRE(done());
}

}  // namespace

// The kernel's interval timers go by another clock, of ticks: see tests/signals.
#if defined(__linux__)
#define CHIME_KERNEL_CPU_TIMERS                         \
  chime::kernel::posix_timer<chime::process_cpu_clock>, \
      chime::kernel::posix_timer<chime::thread_cpu_clock>,
#else
#define CHIME_KERNEL_CPU_TIMERS
#endif

TEST_CASE_TEMPLATE("C3 a CPU timer never expires before that much CPU time was used", Facility,
                   CHIME_KERNEL_CPU_TIMERS user::posix_timer<chime::process_cpu_clock>,
                   user::posix_timer<chime::thread_cpu_clock>, user::itimer<itimer_kind::prof>,
                   user::itimer<itimer_kind::virt>) {
  using clock = typename Facility::clock_type;
  asio::io_context context;
  chime::basic_timer<Facility> t{context};
  outcome<clock> seen;
  for (int i = 1; i <= 3; ++i) {
    const auto before = clock::now();
    t.expires_after(20ms);
    nanoseconds used{};
    begin_wait(t, [&](auto ec, auto e) {
      used = clock::now() - before;
      seen.handler()(ec, e);
    });
    burn_until(context, [&] { return seen.calls == i; });
    CHECK(!seen.error);
    CHECK(used >= 20ms);
    CHECK(clock::now() >= seen.expiry.scheduled);
    MESSAGE("20 ms of CPU were seen after " << used.count() / 1000 << " us");
  }
}

TEST_CASE_TEMPLATE(
    "a wait that stands ends when somebody sees that the timer is due, though all idles from now "
    "on",
    Facility, CHIME_KERNEL_CPU_TIMERS user::posix_timer<chime::process_cpu_clock>) {
  for (int round = 0; round < 10; ++round) {
    asio::io_context context;
    chime::basic_timer<Facility> t{context};
    outcome<typename Facility::clock_type> seen;
    t.expires_after(300us);  // mostly before the next tick, at which the kernel would tell
    begin_wait(t, seen.handler());
    for (volatile unsigned sink = 0; !t.is_ready();) sink = sink + 1;
    support::run_until(context, [&] { return seen.calls == 1; });
    CHECK(!seen.error);
    CHECK(seen.expiry.expirations == 1);
  }
}

TEST_CASE_TEMPLATE("a wait that stands ends though all idles from just after the deadline on",
                   Facility, CHIME_KERNEL_CPU_TIMERS user::posix_timer<chime::process_cpu_clock>,
                   user::posix_timer<chime::thread_cpu_clock>) {
  using clock = typename Facility::clock_type;
  for (int round = 0; round < 10; ++round) {
    asio::io_context context;
    chime::basic_timer<Facility> t{context};
    outcome<clock> seen;
    const auto before = clock::now();
    t.expires_after(2ms);
    begin_wait(t, seen.handler());
    while (clock::now() - before < 2100us) {  // mostly before the next tick
    }
    support::run_until(context, [&] { return seen.calls == 1; });
    CHECK(!seen.error);
    CHECK(seen.expiry.expirations == 1);
  }
}

TEST_CASE("a thread that blocks hears of CPU time, though all idles from then on") {
  using clock = chime::thread_cpu_clock;
  for (int round = 0; round < 5; ++round) {
    enum { idle, busy, over };
    std::atomic<int> phase = idle;
    std::thread worker{[&] {
      phase.wait(idle);
      const auto before = clock::now();
      while (clock::now() - before < 2100us) {
      }
      phase.wait(busy);
    }};
    asio::io_context context;
    chime::posix_timer<clock> t{context, *chime::clock_of_thread(worker.native_handle())};
    t.expires_after(2ms);
    phase = busy;
    phase.notify_one();
    CHECK(t.wait().expirations == 1);
    phase = over;
    phase.notify_one();
    worker.join();
  }
}

TEST_CASE("an idle program does not run hot for a CPU timer") {
  asio::io_context context;
  chime::basic_timer<user::posix_timer<chime::process_cpu_clock>> t{context};
  outcome<chime::process_cpu_clock> seen;
  t.expires_after(100ms);
  begin_wait(t, seen.handler());
  context.run_for(50ms);
  std::size_t looks = 0;
  const nanoseconds used = support::least_used<chime::process_cpu_clock>([&] {
    const auto end = std::chrono::steady_clock::now() + 200ms;
    while (std::chrono::steady_clock::now() < end) looks += context.run_one_until(end);
  });
  CHECK(seen.calls == 0);
  // A few to nap longer and longer, and then one a nap. (A look may be more than one handler.)
  CHECK(looks <= support::goes * (1s / chime::engine::cpu_look::longest_nap + 6));
  CHECK(used < 4ms);
}

#if defined(__linux__)
#define CHIME_KERNEL_THREAD_TIMERS chime::kernel::posix_timer<chime::thread_cpu_clock>,
#else
#define CHIME_KERNEL_THREAD_TIMERS
#endif

TEST_CASE_TEMPLATE("C3 P12 the CPU time of a thread that is named", Facility,
                   CHIME_KERNEL_THREAD_TIMERS user::posix_timer<chime::thread_cpu_clock>,
                   chime::posix_timer<chime::thread_cpu_clock>::facility_type) {
  enum { idle, busy, over };
  std::atomic<int> phase = idle;
  std::thread worker{[&] {
    phase.wait(idle);
    for (volatile unsigned sink = 0; phase == busy;) sink = sink + 1;
  }};
  const auto named = chime::clock_of_thread(worker.native_handle());
  REQUIRE(named);
  {
    asio::io_context context;
    chime::basic_timer<Facility> t{context, *named};
    const auto used = [&, before = chime::read_clock(*named)] {
      return chime::read_clock(*named) - before;
    };
    t.expires_after(20ms);
    const auto start = chime::thread_cpu_clock::now();
    burn_until(context, [&] { return chime::thread_cpu_clock::now() - start > 40ms; });
    CHECK_FALSE(t.is_ready());  // this thread's does not count

    outcome<chime::thread_cpu_clock> seen;
    nanoseconds by_then{};
    begin_wait(t, [&](auto ec, auto e) {
      by_then = used();
      seen.handler()(ec, e);
    });
    phase = busy;
    phase.notify_one();
    support::run_until(context, [&] { return seen.calls == 1; });
    CHECK_FALSE(seen.error);
    CHECK(seen.expiry.expirations == 1);
    CHECK(by_then >= 20ms);
  }
  asio::io_context context;
  chime::basic_timer<Facility> untaken{context, *named};
  untaken.expires_every(1ms);
  support::until_due(untaken);
  phase = over;
  worker.join();
  // (To the kernel a thread that was joined is there a moment longer.)
  const auto patience = std::chrono::steady_clock::now() + support::slack;
  while (chime::exists(*named) && std::chrono::steady_clock::now() < patience)
    std::this_thread::yield();
  REQUIRE_FALSE(chime::exists(*named));
  // Its clock is gone, what it expired is not. (Of the kernel's, what nobody was told yet is.)
  if constexpr (std::is_same_v<Facility, user::posix_timer<chime::thread_cpu_clock>>) {
    const auto taken = untaken.try_take();
    REQUIRE(taken);
    CHECK(taken->expirations >= 1);
  }
  chime::error_code ec;
  CHECK(untaken.get(ec) == chime::setting<chime::thread_cpu_clock>{});
  CHECK(!ec);
  untaken.disarm(ec);
  CHECK(ec.value() == ESRCH);
  untaken.set(chime::setting<chime::thread_cpu_clock>::after(-1ns), ec);
  CHECK(ec.value() == EINVAL);
  chime::basic_timer<Facility> late{context, *named, ec};
  CHECK(ec.value() == EINVAL);
  CHECK_FALSE(late.is_open());
}
