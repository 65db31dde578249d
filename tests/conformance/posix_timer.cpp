// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Rules P.
#include "worlds.hpp"

#include <cerrno>
#include <cstdint>
#include <memory>

using namespace conformance;

namespace {

struct by_engine {
  template <class Clock>
  using facility = user::posix_timer<Clock>;
};
#if defined(__linux__)
struct by_kernel {
  template <class Clock>
  using facility = chime::kernel::posix_timer<Clock>;
};
#define CHIME_KEEPERS by_kernel, by_engine
#else
#define CHIME_KEEPERS by_engine
#endif

}  // namespace

TEST_CASE_TEMPLATE("C5 P12 the clocks of POSIX timers", Keeper, CHIME_KEEPERS) {
  real_world world;
  const auto opening = [&]<class Clock>(Clock) {
    chime::error_code ec;
    chime::basic_timer<typename Keeper::template facility<Clock>> t{world.context, ec};
    CHECK(t.is_open() == !ec);
    return ec.value();
  };
  CHECK(opening(monotonic_clock{}) == 0);
  CHECK(opening(boottime_clock{}) == 0);
  CHECK(opening(realtime_clock{}) == 0);
  CHECK(opening(tai_clock{}) == 0);
  CHECK(opening(chime::process_cpu_clock{}) == 0);
  CHECK(opening(chime::thread_cpu_clock{}) == 0);
  CHECK(opening(chime::user_cpu_clock{}) == EINVAL);
  CHECK(opening(chime::realtime_alarm_clock{}) == EOPNOTSUPP);
  CHECK(opening(chime::boottime_alarm_clock{}) == EOPNOTSUPP);
}

TEST_CASE_TEMPLATE("a timer that fails to open leaves the others of its context alone", Keeper,
                   CHIME_KEEPERS) {
  using facility = typename Keeper::template facility<monotonic_clock>;
  auto world = std::make_unique<real_world>();
  auto t = std::make_shared<chime::basic_timer<facility>>(world->context);
  t->expires_after(1h);
  begin_wait(*t, [t](auto, auto) { FAIL("called"); });
  chime::error_code ec;
  const chime::basic_timer<typename Keeper::template facility<chime::user_cpu_clock>> refused{
      world->context, ec};
  CHECK(ec.value() == EINVAL);
  const std::weak_ptr<chime::basic_timer<facility>> alive = t;
  t.reset();
  world.reset();
  CHECK(alive.expired());
}

TEST_CASE_TEMPLATE("P3 a zero value clears the interval too", S, CHIME_POSIX_TIMERS) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_every(1ms);
  t.set(S::setting::after(0ns, 5ms));
  CHECK(t.get() == S::setting::disarmed());
}

TEST_CASE_TEMPLATE("P4 a new setting drops the notification that is pending", S,
                   CHIME_POSIX_TIMERS) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_every(100us);
  world.pass(2ms);
  world.expect_due(t);
  t.expires_after(1h);
  CHECK_FALSE(t.is_ready());
  CHECK_FALSE(t.try_take());
}

TEST_CASE_TEMPLATE("P5 one notification, whose overrun is fixed when it is accepted", S,
                   CHIME_POSIX_TIMERS) {
  typename S::world world;
  typename S::timer t{world.context};
  const auto before = t.now();
  t.expires_every(1ms);
  world.pass(10ms);
  const auto asked = t.now();
  const auto got = t.try_take();
  REQUIRE(got);
  CHECK(got->overrun() >= 9);
  CHECK(got->overrun() <= (t.now() - before) / 1ms - 1);
  CHECK(asked >= got->scheduled - nanoseconds{support::slack});
  if (S::world::is_virtual) CHECK(got->overrun() == 9);
  const bool again = t.is_ready();
  CHECK((!again || t.now() >= got->scheduled + 1ms));  // the next one, if the machine stalled
}

TEST_CASE("P6 the overrun saturates at DELAYTIMER_MAX, the expirations do not") {
  virtual_world world;
  chime::basic_timer<user::posix_timer<monotonic_clock>> t{world.context};
  t.expires_every(1ns);
  world.pass(3s);
  const auto got = t.try_take();
  REQUIRE(got);
  CHECK(got->expirations == 3'000'000'000);
  CHECK(got->overrun() == 2147483647);
}

TEST_CASE_TEMPLATE(
    "P7 asking: to the next deadline, pending or not; nothing of an expired one-shot", S,
    CHIME_POSIX_TIMERS) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_every(10ms);
  world.pass(15ms);
  CHECK(t.get().value <= 10ms);
  CHECK(t.get().value > 0ns);
  if (S::world::is_virtual) CHECK(t.get().value == 5ms);
  t.set(S::setting::after(1ms));
  world.pass(3ms);
  world.expect_due(t);
  CHECK(t.get() == S::setting::disarmed());
  REQUIRE(t.try_take());
  CHECK(t.get() == S::setting::disarmed());
}

TEST_CASE(
    "C3 timers of CPU clocks expire by the CPU time that is used, and not while time passes") {
  virtual_world world;
  chime::basic_timer<user::posix_timer<chime::process_cpu_clock>> process{world.context};
  chime::basic_timer<user::posix_timer<chime::thread_cpu_clock>> thread{world.context};
  outcome<chime::process_cpu_clock> p;
  outcome<chime::thread_cpu_clock> t;
  process.expires_every(100ms);
  thread.expires_after(250ms);
  begin_wait(process, p.handler());
  begin_wait(thread, t.handler());
  world.pass(24h);
  CHECK(p.calls == 0);
  world.time.use_cpu(60ms, 40ms);
  CHECK(p.calls == 1);
  CHECK(t.calls == 0);
  world.time.use_cpu(0ms, 150ms);
  CHECK(t.calls == 1);
  CHECK(process.get().value == 50ms);
}
