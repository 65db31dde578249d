// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Rules I.
#include "worlds.hpp"

#include <cerrno>
#include <cstdint>

using namespace conformance;

TEST_CASE_TEMPLATE("I1 one of each kind: a second is EBUSY until the first is closed", World,
                   real_world, virtual_world) {
  World world;
  const auto one_only = [&]<itimer_kind Kind>() {
    using timer = chime::basic_timer<user::itimer<Kind>>;
    std::optional<timer> first{world.context};
    chime::error_code ec;
    timer second{world.context, ec};
    CHECK(ec.value() == EBUSY);
    CHECK(ec == boost::system::errc::device_or_resource_busy);
    CHECK_FALSE(second.is_open());
    first.reset();
    timer third{world.context, ec};
    CHECK(!ec);
  };
  one_only.template operator()<itimer_kind::real>();
  one_only.template operator()<itimer_kind::virt>();
  one_only.template operator()<itimer_kind::prof>();
}

TEST_CASE_TEMPLATE("I2 whole microseconds: a setting rounds up, what is read is cut off", S,
                   CHIME_REAL_ITIMERS) {
  typename S::world world;
  typename S::timer t{world.context};
  t.set(S::setting::after(1h + 1ns, 1s + 1ns));
  const auto left = t.get();
  CHECK(left.interval == 1s + 1us);
  CHECK(left.value % 1us == 0ns);
  if (S::world::is_virtual) {
    CHECK(left.value == 1h + 1us);
    world.pass(1ns);
    CHECK(t.get().value == 1h);
  }
}

TEST_CASE("I3 a zero value disarms: the interval goes with REAL, and stays with VIRTUAL and PROF") {
  virtual_world world;
  chime::basic_timer<user::itimer<itimer_kind::real>> real{world.context};
  real.set(chime::setting<monotonic_clock>::after(0ns, 5ms));
  CHECK(real.get().interval == 0ns);
  chime::basic_timer<user::itimer<itimer_kind::virt>> virt{world.context};
  virt.set(chime::setting<chime::user_cpu_clock>::after(0ns, 5ms));
  CHECK(virt.get().interval == 5ms);
  CHECK(virt.get().value == 0ns);
}

TEST_CASE("I4 a REAL timer that is pending says 0, and what was missed is counted") {
  virtual_world world;
  chime::basic_timer<user::itimer<itimer_kind::real>> t{world.context};
  t.expires_every(10ms);
  world.pass(35ms);
  REQUIRE(t.is_ready());
  CHECK(t.get() == chime::setting<monotonic_clock>::after(0ns, 10ms));
  CHECK(t.try_take()->expirations == 3);
  CHECK(t.get().value == 5ms);  // in phase
}

TEST_CASE(
    "I5 VIRTUAL and PROF: a tick is added, each look expires once, a starved timer catches up") {
  virtual_world world;
  chime::basic_timer<user::itimer<itimer_kind::prof>> prof{world.context};
  chime::basic_timer<user::itimer<itimer_kind::virt>> virt{world.context};
  outcome<chime::process_cpu_clock> p;
  outcome<chime::user_cpu_clock> v;
  prof.expires_after(1s);
  virt.expires_after(1s);
  CHECK(prof.get().value == 1004ms);
  begin_wait(prof, p.handler());
  begin_wait(virt, v.handler());
  world.time.use_cpu(600ms, 404ms);
  CHECK(p.calls == 1);
  CHECK(v.calls == 0);  // user time only
  world.time.use_cpu(404ms);
  CHECK(v.calls == 1);

  prof.expires_every(1ms);  // four times a tick, but one a look
  world.time.use_cpu(41ms);
  const auto got = prof.try_take();
  REQUIRE(got);
  CHECK(got->expirations <= 11);
  CHECK(got->expirations >= 9);
}

TEST_CASE_TEMPLATE("I5 what the ticks would have counted while nobody looked is counted then",
                   Facility, user::itimer<itimer_kind::prof>, user::itimer<itimer_kind::virt>) {
  using clock = typename Facility::clock_type;
  real_world world;
  chime::basic_timer<Facility> t{world.context};
  const auto use = [](nanoseconds time) {
    const auto end = clock::now() + time;
    while (clock::now() < end) {
    }
  };
  t.expires_every(10ms);
  use(105ms);
  CHECK(t.try_take()->expirations >= 9);
  CHECK(t.get().value <= 10ms);  // in phase
  t.expires_every(1ms);          // one a tick
  use(100ms);
  const auto starved = t.try_take()->expirations;
  CHECK(starved >= 20);
  CHECK(starved <= 40);
}

TEST_CASE("I6 disarming does not withdraw what is pending") {
  virtual_world world;
  chime::basic_timer<user::itimer<itimer_kind::real>> t{world.context};
  t.expires_after(1ms);
  world.pass(1ms);
  REQUIRE(t.is_ready());
  t.disarm();
  CHECK(t.is_ready());
  CHECK(t.try_take()->expirations == 1);
  CHECK_FALSE(t.is_ready());
}

TEST_CASE("I6 of VIRTUAL and PROF one signal is pending, and stays so when they are set") {
  virtual_world world;
  chime::basic_timer<user::itimer<itimer_kind::prof>> t{world.context};
  t.expires_every(10ms);
  for (int i = 0; i < 10; ++i) {
    world.time.use_cpu(10ms);
    world.pass(10ms);
  }
  REQUIRE(t.is_ready());
  t.expires_after(1h);
  CHECK(t.try_take()->expirations == 1);
  CHECK_FALSE(t.is_ready());
}

TEST_CASE("an interval timer has no absolute settings") {
  virtual_world world;
  chime::basic_timer<user::itimer<itimer_kind::real>> t{world.context};
  t.expires_after(1h);
  chime::error_code ec;
  t.expires_at(t.now() + 1s, ec);
  CHECK(ec.value() == EINVAL);
  CHECK(t.get().value == 1h);
}
