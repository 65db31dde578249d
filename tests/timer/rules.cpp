// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The rules that show through basic_timer, on the real kernel. What depends on a clock being set is
// in clock_set.cpp, W2 to W4 are in line.cpp and cancellation.cpp.
#include "support/asio.hpp"
#include "support/on_its_way.hpp"
#include "support/one_cpu.hpp"

#include <chime/shim/timerfd.hpp>
#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ratio>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::monotonic_clock;
using chime::nanoseconds;
using chime::realtime_clock;
using support::run_out;
using support::slack;
using support::until_due;

using timer = chime::timerfd<monotonic_clock>;
// For deadlines long past: the monotonic clock may have begun only a moment ago.
using wall_timer = chime::timerfd<realtime_clock>;
using setting = timer::setting_type;
using outcome = support::outcome<monotonic_clock>;

template <class TimePoint>
nanoseconds since_epoch(TimePoint t) {
  return t.time_since_epoch();
}

}  // namespace

TEST_CASE_TEMPLATE("E1 a timer never expires early, by its own clock, to the nanosecond", Clock,
                   monotonic_clock, chime::boottime_clock, realtime_clock) {
  asio::io_context context;
  chime::timerfd<Clock> t{context};
  support::outcome<Clock> seen;
  for (int i = 0; i < 40; ++i) {
    const auto deadline = Clock::now() + nanoseconds{1 + i * 7919};
    t.expires_at(deadline);
    t.async_wait(seen.handler());
    run_out(context);
    const auto now = Clock::now();
    CHECK(seen.calls == i + 1);
    CHECK(now >= deadline);
    CHECK(seen.expiry.scheduled == deadline);
    CHECK(seen.expiry.expirations == 1);
  }
}

TEST_CASE_TEMPLATE("E1 nor does a relative timer", Clock, monotonic_clock, chime::boottime_clock) {
  asio::io_context context;
  chime::timerfd<Clock> t{context};
  for (int i = 0; i < 40; ++i) {
    const nanoseconds value{1 + i * 7919};
    const auto before = Clock::now();
    t.expires_after(value);
    const auto after = Clock::now();
    const auto seen = t.wait();
    CHECK(Clock::now() >= seen.scheduled);
    CHECK(seen.scheduled >= before + value);
    CHECK(seen.scheduled <= after + value);
  }
}

TEST_CASE("E1 a relative timer on a clock that can be set is scheduled where its time came") {
  asio::io_context context;
  chime::timerfd<realtime_clock> t{context};
  for (int i = 0; i < 20; ++i) {
    const auto before = realtime_clock::now();
    t.expires_after(200us);
    const auto seen = t.wait();
    const auto now = realtime_clock::now();
    CHECK(seen.expirations == 1);
    CHECK(now >= before + 200us);
    CHECK(now >= seen.scheduled);
    // Worked out from two clocks, with whatever came between the two readings.
    CHECK(seen.scheduled > before + 200us - slack);
    CHECK(seen.scheduled < now);
  }
  t.expires_every(100us);
  std::uint64_t total = 0;
  const auto start = realtime_clock::now();
  while (total < 20) {
    const auto seen = t.wait();
    total += seen.expirations;
    CHECK(seen.scheduled > start + total * 100us - slack);
    CHECK(seen.scheduled < realtime_clock::now());
  }
}

TEST_CASE_TEMPLATE("E2 E4 every expiration of a periodic timer is in phase and accounted for",
                   Clock, monotonic_clock, chime::boottime_clock, realtime_clock) {
  asio::io_context context;
  chime::timerfd<Clock> t{context};
  const auto first = Clock::now() + 300us;
  const nanoseconds interval = 250us;
  t.set(chime::setting<Clock>::at(first, interval));
  std::uint64_t total = 0;
  for (int i = 0; i < 40; ++i) {
    until_due(t);
    const auto before = Clock::now();
    const auto seen = t.try_take();
    const auto after = Clock::now();
    REQUIRE(seen);
    CHECK(seen->expirations >= 1);
    total += seen->expirations;
    // As many as there were at some instant between the two readings.
    const auto expected = [&](auto now) {
      return chime::rules::expirations_by(since_epoch(first), interval, since_epoch(now));
    };
    CHECK(total >= expected(before));
    CHECK(total <= expected(after));
    CHECK(seen->scheduled == first + (total - 1) * interval);
    CHECK(after >= seen->scheduled);
  }
}

TEST_CASE("E2 E4 a relative periodic timer is in phase with its first expiration") {
  asio::io_context context;
  timer t{context};
  const auto before = monotonic_clock::now();
  t.set(setting::after(400us, 250us));
  const auto after = monotonic_clock::now();
  std::uint64_t total = 0;
  timer::time_point first;
  int waits = 0;
  outcome seen;
  while (total < 40) {
    t.async_wait(seen.handler());
    run_out(context);
    REQUIRE(seen.calls == ++waits);
    CHECK(monotonic_clock::now() >= seen.expiry.scheduled);
    total += seen.expiry.expirations;
    if (waits == 1) {
      first = seen.expiry.scheduled - (total - 1) * 250us;
      CHECK(first >= before + 400us);
      CHECK(first <= after + 400us);
    }
    CHECK(seen.expiry.scheduled == first + (total - 1) * 250us);
  }
}

TEST_CASE("E2 the schedule of a relative timer is the kernel's own, to the nanosecond") {
  asio::io_context context;
  timer t{context};
  for (int i = 0; i < 200; ++i) {
    t.set(setting::after(1us, 1h));
    const auto next = t.wait().scheduled + 1h;
    const auto before = monotonic_clock::now();
    const auto left = t.get().value;
    const auto after = monotonic_clock::now();
    CHECK(next >= before + left);
    CHECK(next <= after + left);
  }
}

TEST_CASE("E3 E5 E7 a periodic timer set in the past reports every interval since, at once") {
  asio::io_context context;
  wall_timer t{context};
  const auto first = realtime_clock::now() - 1000h;
  t.set(wall_timer::setting_type::at(first, 1h));
  support::outcome<realtime_clock> seen;
  t.async_wait(seen.handler());
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK(seen.expiry.expirations == 1001);
  CHECK(seen.expiry.overrun() == 1000);
  CHECK(seen.expiry.scheduled == first + 1000h);
  const auto now = t.get();
  CHECK(now.interval == 1h);
  CHECK(now.value <= 1h);
  CHECK(now.value > 1h - slack);
  CHECK_FALSE(t.is_ready());
}

TEST_CASE("E3 E7 a one-shot timer set in the past expires at once, once") {
  asio::io_context context;
  timer t{context};
  t.expires_at(timer::time_point{1ns});
  const auto seen = t.wait();
  CHECK(seen.expirations == 1);
  CHECK(seen.scheduled == timer::time_point{1ns});
  CHECK(t.get() == setting::disarmed());
  CHECK_FALSE(t.try_take());
}

TEST_CASE("E6 timers with one deadline expire in the order in which they were armed") {
  const support::on_one_cpu here;
  asio::io_context context;
  std::vector<timer> timers;
  for (int i = 0; i < 8; ++i) timers.emplace_back(context);
  const std::vector<std::size_t> order{3, 0, 7, 5, 1, 6, 2, 4};
  std::vector<std::size_t> seen;
  for (std::size_t i = 0; i < timers.size(); ++i)
    timers[i].async_wait([&seen, i](chime::error_code, timer::expiry_type) { seen.push_back(i); });
  context.poll();  // all stand at the kernel
  const auto deadline = monotonic_clock::now() + 2ms;
  for (const std::size_t i : order) timers[i].expires_at(deadline);
  run_out(context);
  CHECK(seen == order);
}

TEST_CASE("E8 a deadline past the end of time never comes, and nothing wraps") {
  asio::io_context context;
  timer t{context};
  const auto check_never = [&] {
    CHECK_FALSE(t.is_ready());
    CHECK_FALSE(t.try_take());
    CHECK(t.get().value > 24h * 365 * 290);
  };
  t.expires_after(nanoseconds::max());
  check_never();
  t.expires_after(std::chrono::hours::max());
  check_never();
  t.expires_after(std::chrono::duration<double>{1e300});
  check_never();
  t.expires_every(nanoseconds::max());
  check_never();
  CHECK(t.get().interval > 24h * 365 * 290);
  t.expires_at(timer::time_point::max());
  check_never();
  t.expires_at(std::chrono::time_point<monotonic_clock, std::chrono::hours>::max());
  check_never();
  t.set(setting::at(timer::time_point{1ns}, nanoseconds::max()));
  until_due(t);
  CHECK(t.wait().expirations == 1);
  check_never();
}

TEST_CASE("E8 an overrun saturates, the count of expirations does not") {
  asio::io_context context;
  wall_timer t{context};
  const auto first = realtime_clock::now() - 10s;
  t.set(wall_timer::setting_type::at(first, 1ns));
  until_due(t);
  const auto before = realtime_clock::now();
  const auto seen = t.try_take();
  const auto after = realtime_clock::now();
  REQUIRE(seen);
  CHECK(nanoseconds{seen->expirations} > before - first);
  CHECK(nanoseconds{seen->expirations} <= after - first + 1ns);
  CHECK(seen->overrun() == 2147483647);
  CHECK(seen->scheduled == first + nanoseconds{seen->expirations - 1});
}

TEST_CASE("C4 an alarm clock is EPERM without CAP_WAKE_ALARM") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // An unprivileged user. (Where setresuid is refused, there was no privilege to give up.)
    [[maybe_unused]] const int gave_up = ::setresuid(65534, 65534, 65534);
    asio::io_context context;
    chime::error_code realtime;
    chime::error_code boottime;
    chime::timerfd<chime::realtime_alarm_clock> a{context, realtime};
    chime::timerfd<chime::boottime_alarm_clock> b{context, boottime};
    const chime::error_code eperm{EPERM, boost::system::system_category()};
    ::_exit(realtime == eperm && boottime == eperm && !a.is_open() && !b.is_open() ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("F3 setting clears the count") {
  asio::io_context context;
  timer t{context};
  support::make_due(t);
  t.expires_after(1h);
  CHECK_FALSE(t.is_ready());
  CHECK_FALSE(t.try_take());
  support::make_due(t);
  t.disarm();
  CHECK_FALSE(t.is_ready());
  CHECK_FALSE(t.try_take());
}

TEST_CASE("F4 F6 a periodic timer that nobody took from has the time to its next deadline left") {
  asio::io_context context;
  wall_timer t{context};
  const auto first = realtime_clock::now() - 90min;
  t.set(wall_timer::setting_type::at(first, 1h));
  until_due(t);
  for (int i = 0; i < 2; ++i) {
    const auto now = t.get();
    CHECK(now.interval == 1h);
    CHECK(now.value <= 30min);
    CHECK(now.value > 30min - slack);
  }
  CHECK(t.is_ready());
  const auto taken = t.try_take();  // asking lost none
  REQUIRE(taken);
  CHECK(taken->expirations == 2);
  CHECK(taken->scheduled == first + 1h);

  t.set(wall_timer::setting_type::at(first, 1h));
  until_due(t);
  const auto old = t.disarm();
  CHECK(old.interval == 1h);
  CHECK(old.value <= 30min);
  CHECK(old.value > 30min - slack);
}

TEST_CASE("F4 F6 a one-shot timer that expired has no time left, taken or not") {
  asio::io_context context;
  timer t{context};
  support::make_due(t);
  CHECK(t.get() == setting::disarmed());
  CHECK(t.is_ready());
  CHECK(t.expires_after(1us) == setting::disarmed());
  CHECK(t.wait().expirations == 1);
  CHECK(t.get() == setting::disarmed());
}

TEST_CASE("F5 the interval given with value 0 is kept, and the timer is disarmed") {
  asio::io_context context;
  timer t{context};
  t.set(setting::after(0ns, 5ms));
  CHECK(t.get() == setting::after(0ns, 5ms));
  CHECK_FALSE(t.get().is_armed());
  CHECK(t.disarm() == setting::after(0ns, 5ms));
}

TEST_CASE("F7 what was taken is not there again; what is refused loses none" *
          doctest::test_suite("kernel")) {
  asio::io_context context;
  timer t{context};
  support::make_due(t);
  char small[4];
  CHECK(::read(t.native_handle(), small, sizeof small) == -1);
  CHECK(errno == EINVAL);
  CHECK(t.try_take());
  CHECK_FALSE(t.try_take());
}

TEST_CASE("F8 the descriptor is readable exactly while there is something to take") {
  asio::io_context context;
  timer t{context};
  CHECK_FALSE(t.is_ready());
  t.expires_after(1h);
  CHECK_FALSE(t.is_ready());
  support::make_due(t);
  CHECK(t.is_ready());
  t.try_take();
  CHECK_FALSE(t.is_ready());
}

TEST_CASE("F9 a duplicated descriptor is the same timer, and outlives it" *
          doctest::test_suite("kernel")) {
  asio::io_context context;
  timer t{context};
  const chime::shim::descriptor twin{::dup(t.native_handle())};
  REQUIRE(twin.get() >= 0);
  support::make_due(t);
  REQUIRE(chime::shim::timerfd_read(twin.get()).has_value());
  CHECK_FALSE(t.try_take());
  t.expires_after(1h);
  t.close();
  const auto left = chime::shim::timerfd_gettime(twin.get());
  REQUIRE(left.has_value());
  CHECK(left->it_value.tv_sec >= 3500);
}

TEST_CASE("F9 W1 a wait that another reader forestalls goes on until there are expirations again" *
          doctest::test_suite("kernel")) {
  asio::io_context context;
  timer t{context};
  outcome seen;
  support::on_its_way way;
  t.async_wait(way.bind(seen.handler()));
  context.poll();
  for (int i = 0; i < 3; ++i) {
    way.make_ready(context, t);
    REQUIRE(chime::shim::timerfd_read(t.native_handle()).has_value());
    way.arrive();
    CHECK(seen.calls == 0);
  }
  const auto deadline = monotonic_clock::now() + 1us;
  t.expires_at(deadline);
  run_out(context);
  way.arrive();
  CHECK(seen.calls == 1);
  CHECK(seen.expiry.expirations == 1);
  CHECK(seen.expiry.scheduled == deadline);
}

TEST_CASE("F12 TFD_IOC_SET_TICKS wakes a wait, which takes that count" *
          doctest::test_suite("kernel")) {
  asio::io_context context;
  timer t{context};
  outcome seen;
  t.async_wait(seen.handler());
  const auto set = chime::shim::timerfd_set_ticks(t.native_handle(), 7);
  if (!set && set.error().value() == ENOTTY) {
    std::puts("SKIPPED: this kernel has no TFD_IOC_SET_TICKS");
    return;
  }
  REQUIRE(set.has_value());
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK(seen.expiry.expirations == 7);
  CHECK(seen.expiry.overrun() == 6);
}

TEST_CASE("F16 each setting of a one-shot timer wakes a wait anew") {
  asio::io_context context;
  timer t{context};
  outcome seen;
  for (int i = 0; i < 20; ++i) {
    support::make_due(t);  // nobody takes
    t.expires_at(timer::time_point{2ns});
    t.async_wait(seen.handler());
    run_out(context);
    CHECK(seen.calls == i + 1);
    CHECK(seen.expiry.scheduled == timer::time_point{2ns});
  }
}

TEST_CASE("W1 a wait that succeeds has at least one expiration") {
  asio::io_context context;
  timer t{context};
  outcome seen;
  t.expires_every(50us);
  for (int i = 0; i < 100; ++i) {
    // Every few waits somebody takes what the wait was woken for.
    t.async_wait(seen.handler());
    if (i % 3 == 0) {
      until_due(t);
      t.try_take();
    }
    run_out(context);
    CHECK(seen.calls == i + 1);
    CHECK_FALSE(seen.error);
    CHECK(seen.expiry.expirations >= 1);
    CHECK(seen.expiry.overrun() == static_cast<int>(seen.expiry.expirations) - 1);
  }
}

TEST_CASE("W4 a wait goes on for the new setting") {
  asio::io_context context;
  timer t{context};
  outcome seen;
  t.expires_after(1h);
  t.async_wait(seen.handler());
  context.poll();
  t.expires_after(2h);
  context.poll();
  t.disarm();
  context.poll();
  CHECK(seen.calls == 0);
  const auto deadline = monotonic_clock::now() + 1ms;
  t.expires_at(deadline);
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK_FALSE(seen.error);
  CHECK(seen.expiry.scheduled == deadline);
}

TEST_CASE("W4 a wait that was woken for a setting that is gone waits for the new one") {
  asio::io_context context;
  timer t{context};
  outcome seen;
  support::on_its_way way;
  t.async_wait(way.bind(seen.handler()));
  context.poll();
  way.make_ready(context, t);
  t.expires_after(1h);
  way.arrive();
  CHECK(seen.calls == 0);
  const auto deadline = monotonic_clock::now() + 1us;
  t.expires_at(deadline);
  run_out(context);
  way.arrive();
  CHECK(seen.calls == 1);
  CHECK(seen.expiry.scheduled == deadline);
}

TEST_CASE("W4 a timer may be set from within a handler, and while nobody waits") {
  asio::io_context context;
  timer t{context};
  int calls = 0;
  t.expires_after(1us);
  t.async_wait([&](chime::error_code, timer::expiry_type) {
    ++calls;
    t.expires_after(1us);
    t.async_wait([&](chime::error_code ec, timer::expiry_type e) {
      ++calls;
      CHECK_FALSE(ec);
      CHECK(e.expirations == 1);
    });
  });
  run_out(context);
  CHECK(calls == 2);
}

TEST_CASE("W6 a positive duration below a nanosecond rounds up: it does not disarm") {
  asio::io_context context;
  timer t{context};
  using pico = std::chrono::duration<std::int64_t, std::pico>;
  t.expires_after(pico{1});
  CHECK(t.wait().expirations == 1);
  t.expires_after(std::chrono::duration<double>{1e-12});
  CHECK(t.wait().expirations == 1);
  t.expires_every(std::chrono::duration<float, std::nano>{0.25F});
  CHECK(t.wait().expirations >= 1);
  CHECK(t.get().interval == 1ns);
  t.expires_after(pico{1'000'000'000'001});
  CHECK(t.disarm().value <= 1s + 1ns);
  using deadline =
      std::chrono::time_point<monotonic_clock, std::chrono::duration<double, std::nano>>;
  t.expires_at(deadline{std::chrono::duration<double, std::nano>{0.5}});
  CHECK(t.wait().scheduled == timer::time_point{1ns});
}

TEST_CASE("W6 a duration coarser than nanoseconds rounds up too") {
  asio::io_context context;
  timer t{context};
  const auto before = monotonic_clock::now();
  t.expires_after(std::chrono::duration<double, std::milli>{1.0000001});
  const auto seen = t.wait();
  CHECK(seen.scheduled >= before + 1'000'001ns);
}

TEST_CASE("a wait on each clock completes no later than a stalled machine allows") {
  asio::io_context context;
  const auto check = [&]<class Clock>(Clock) {
    chime::timerfd<Clock> t{context};
    support::outcome<Clock> seen;
    const auto deadline = Clock::now() + 1ms;
    t.expires_at(deadline);
    t.async_wait(seen.handler());
    run_out(context);
    const auto late = Clock::now() - seen.expiry.scheduled;
    CHECK(late >= 0ns);
    CHECK(late < slack);
  };
  check(monotonic_clock{});
  check(chime::boottime_clock{});
  check(realtime_clock{});
}
