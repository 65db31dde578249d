// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Rules F and C of timerfds, whoever keeps them.
#include "worlds.hpp"

#include <boost/asio/error.hpp>

#include <cerrno>
#include <cstdint>

using namespace conformance;

using virtual_wall = subject<virtual_world, user::timerfd<realtime_clock>>;

TEST_CASE_TEMPLATE("C5 a timerfd takes five clocks, any other is EINVAL", World, real_world,
                   virtual_world) {
  World world;
  const auto opening = [&]<class Clock>(Clock) {
    chime::error_code ec;
    chime::basic_timer<user::timerfd<Clock>> t{world.context, ec};
    CHECK(t.is_open() == !ec);
    return ec.value();
  };
  CHECK(opening(monotonic_clock{}) == 0);
  CHECK(opening(boottime_clock{}) == 0);
  CHECK(opening(realtime_clock{}) == 0);
  CHECK(opening(tai_clock{}) == EINVAL);
  CHECK(opening(chime::process_cpu_clock{}) == EINVAL);
  CHECK(opening(chime::thread_cpu_clock{}) == EINVAL);
  CHECK(opening(chime::user_cpu_clock{}) == EINVAL);
}

TEST_CASE_TEMPLATE("F3 a new setting clears the count", S, CHIME_TIMERFDS) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_every(100us);
  world.pass(2ms);
  world.expect_due(t);
  t.expires_after(1h);
  CHECK_FALSE(t.is_ready());
  CHECK_FALSE(t.try_take());
  t.expires_every(100us);
  world.pass(2ms);
  t.disarm();
  CHECK_FALSE(t.is_ready());
}

TEST_CASE_TEMPLATE(
    "F4 setting returns what was left: of an expired periodic timer the time to the "
    "next deadline, of a one-shot nothing",
    S, CHIME_TIMERFDS) {
  typename S::world world;
  typename S::timer t{world.context};
  CHECK(t.expires_after(1h) == S::setting::disarmed());
  const auto an_hour = t.expires_every(700us);
  CHECK(an_hour.value <= 1h);
  CHECK(an_hour.value > 59min);
  CHECK(an_hour.interval == 0ns);
  world.pass(3ms);
  world.expect_due(t);
  const auto periodic = t.expires_after(100us);
  CHECK(periodic.interval == 700us);
  CHECK(periodic.value >= 0ns);
  CHECK(periodic.value <= 700us);
  if (S::world::is_virtual) CHECK(periodic.value == 500us);
  world.pass(2ms);
  CHECK(t.disarm() == S::setting::disarmed());
}

TEST_CASE_TEMPLATE("F5 a zero value disarms, and its interval is kept and reported", S,
                   CHIME_TIMERFDS) {
  typename S::world world;
  typename S::timer t{world.context};
  t.expires_every(1ms);
  t.set(S::setting::after(0ns, 5ms));
  CHECK(t.get() == S::setting::after(0ns, 5ms));
  world.pass(3ms);
  CHECK_FALSE(t.is_ready());
}

TEST_CASE_TEMPLATE("F6 asking loses no count", S, CHIME_TIMERFDS) {
  typename S::world world;
  typename S::timer t{world.context};
  const auto before = t.now();
  t.expires_every(200us);
  const auto after = t.now();
  for (int i = 0; i < 10; ++i) {
    world.pass(500us);
    const auto left = t.get();
    CHECK(left.interval == 200us);
    // The kernel reads its clock twice, to go on and to subtract: the deadline may pass in between.
    CHECK(left.value >= (S::world::is_virtual ? 1ns : 0ns));
    CHECK(left.value <= 200us);
  }
  world.expect_due(t);
  const auto asked = t.now();
  const auto got = t.try_take();
  REQUIRE(got);
  CHECK(got->expirations >= static_cast<std::uint64_t>((asked - after) / 200us));
  CHECK(got->expirations <= static_cast<std::uint64_t>((t.now() - before) / 200us));
  if (S::world::is_virtual) CHECK(got->expirations == 25);
}

TEST_CASE_TEMPLATE("F7 F8 ready exactly while the count is not 0", S, CHIME_TIMERFDS) {
  typename S::world world;
  typename S::timer t{world.context};
  CHECK_FALSE(t.is_ready());
  t.expires_after(1ms);
  if (S::world::is_virtual) {
    world.pass(999'999ns);
    CHECK_FALSE(t.is_ready());
    world.pass(1ns);
  } else {
    world.pass(2ms);
  }
  world.expect_due(t);
  CHECK(t.is_ready());
  CHECK(t.try_take()->expirations == 1);
  CHECK_FALSE(t.is_ready());
  CHECK_FALSE(t.try_take());
}

TEST_CASE("C2 a step of the clock moves absolute timers, and no relative one") {
  virtual_world world;
  virtual_wall::timer absolute{world.context};
  virtual_wall::timer relative{world.context};
  outcome<realtime_clock> a;
  outcome<realtime_clock> r;
  const auto start = absolute.now();
  absolute.expires_at(start + 1h);
  relative.expires_after(1h);
  begin_wait(absolute, a.handler());
  begin_wait(relative, r.handler());

  world.time.set_realtime(start - 24h);
  world.pass(59min);
  CHECK(a.calls == 0);
  CHECK(r.calls == 0);
  CHECK(absolute.get().value == 24h + 1min);
  CHECK(relative.get().value == 1min);
  world.pass(1min);
  CHECK(a.calls == 0);
  REQUIRE(r.calls == 1);
  CHECK(r.expiry.scheduled == start - 23h);  // as the clock shows it now
  world.time.set_realtime(start + 1h - 1ns);
  CHECK(a.calls == 0);
  world.time.set_realtime(start + 2h);
  REQUIRE(a.calls == 1);
  CHECK(a.expiry.scheduled == start + 1h);
}

TEST_CASE("C1 suspend: the monotonic clock stands, boottime and realtime run on") {
  virtual_world world;
  chime::basic_timer<user::timerfd<monotonic_clock>> monotonic{world.context};
  chime::basic_timer<user::timerfd<boottime_clock>> boottime{world.context};
  virtual_wall::timer realtime{world.context};
  outcome<monotonic_clock> m;
  outcome<boottime_clock> b;
  outcome<realtime_clock> r;
  monotonic.expires_after(1h);
  boottime.expires_after(1h);
  realtime.expires_at(realtime.now() + 1h);
  begin_wait(monotonic, m.handler());
  begin_wait(boottime, b.handler());
  begin_wait(realtime, r.handler());
  CHECK(world.time.suspend(8h) == 8h);
  CHECK(m.calls == 0);
  CHECK(b.calls == 1);
  CHECK(r.calls == 1);
  CHECK(boottime.now() - b.expiry.scheduled == 7h);
  world.pass(1h);
  CHECK(m.calls == 1);
}

TEST_CASE("an alarm ends a suspend") {
  virtual_world world;
  chime::basic_timer<user::timerfd<chime::boottime_alarm_clock>> alarm{world.context};
  outcome<chime::boottime_alarm_clock> seen;
  alarm.expires_after(3h);
  begin_wait(alarm, seen.handler());
  CHECK(world.time.suspend(8h) == 3h);
  CHECK(seen.calls == 1);
}

TEST_CASE(
    "F10 W5 a clock that is set ends the wait that asked for it, once, and the timer stays armed") {
  virtual_world world;
  virtual_wall::timer t{world.context};
  outcome<realtime_clock> seen;
  t.expires_at(t.now() + 100s, chime::cancel_on_clock_set);
  begin_wait(t, seen.handler());
  world.time.set_realtime(t.now() + 1ns);
  REQUIRE(seen.calls == 1);
  CHECK(seen.error == chime::error::clock_was_set());
  CHECK(seen.error == boost::system::errc::operation_canceled);
  CHECK(t.get().value == 100s - 1ns);
  CHECK_FALSE(t.is_ready());
  begin_wait(t, seen.handler());
  world.pass(100s);
  REQUIRE(seen.calls == 2);
  CHECK(!seen.error);
  CHECK(seen.expiry.expirations == 1);

  // F14: so does a resume.
  t.expires_at(t.now() + 100s, chime::cancel_on_clock_set);
  begin_wait(t, seen.handler());
  world.time.suspend(1s);
  REQUIRE(seen.calls == 3);
  CHECK(seen.error == chime::error::clock_was_set());
}

TEST_CASE("F11 a setting that finds the cancellation unread says so, and stands all the same") {
  virtual_world world;
  virtual_wall::timer t{world.context};
  t.expires_at(t.now() + 100s, chime::cancel_on_clock_set);
  world.time.set_realtime(t.now() + 1s);
  CHECK(t.is_ready());
  chime::error_code ec;
  const auto old = t.expires_at(t.now() + 50s, chime::cancel_on_clock_set, ec);
  CHECK(ec == chime::error::clock_was_set());
  CHECK(old == virtual_wall::setting::disarmed());
  CHECK(t.get().value == 50s);
  // One that does not ask for it is told nothing.
  world.time.set_realtime(t.now() + 1s);
  t.expires_after(7s, ec);
  CHECK(!ec);
  CHECK(t.get().value == 7s);
}

TEST_CASE(
    "F13 a clock set back between expiry and take: a periodic timer has nothing, a one-shot its "
    "one") {
  virtual_world world;
  virtual_wall::timer once{world.context};
  virtual_wall::timer periodic{world.context};
  const auto start = once.now();
  once.expires_at(start + 1s);
  periodic.set(virtual_wall::setting::at(start + 1s, 1s));
  world.pass(2500ms);
  world.time.set_realtime(start);
  CHECK(once.try_take()->expirations == 1);
  CHECK_FALSE(periodic.try_take());
  world.pass(1s);
  CHECK(periodic.try_take()->expirations == 1);
}

TEST_CASE("C4 alarm clocks are there in virtual time") {
  virtual_world world;
  chime::basic_timer<user::timerfd<chime::realtime_alarm_clock>> t{world.context};
  outcome<chime::realtime_alarm_clock> seen;
  t.expires_after(1h);
  begin_wait(t, seen.handler());
  world.pass(1h);
  CHECK(seen.calls == 1);
  // 6.18: a relative one steps with its clock, unlike one on realtime_clock.
  t.expires_after(2h);
  world.time.set_realtime(world.time.now<realtime_clock>() + 1h);
  CHECK(t.get().value == 1h);
}
