// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// timerfd_model against rules E and F, in virtual time: an instant is a number.

#include <chime/clock.hpp>
#include <chime/engine/timerfd_model.hpp>

#include "model_oracles.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using namespace chime;
using namespace chime::engine;
using namespace std::chrono_literals;

namespace {

constexpr auto absolute = reference::absolute;
constexpr auto relative = reference::relative;

/// A monotonic timer set at 100 ns: first deadline 110 ns, then every 3 ns.
constexpr timerfd_model beating() {
  timerfd_model m{clock_kind::monotonic};
  m.settime({10ns, 3ns}, 100ns);
  return m;
}

/// A realtime timer that asks for cancellation, armed at 1000 ns for 2000 ns.
constexpr timerfd_model cancellable(nanoseconds interval = 0ns) {
  timerfd_model m{clock_kind::realtime};
  m.settime({2000ns, interval, absolute, on_clock_set::cancel}, {100ns, 1000ns});
  return m;
}

// The model is usable at compile time: expired late, read, conserved.
static_assert([] {
  timerfd_model m = beating();
  const bool woken = m.expire(110ns);
  const timerfd_read r = m.read(121ns);
  return woken && r == timerfd_read{status::ok, 4, 119ns} && m.next_deadline() == 122ns;
}());
static_assert([] {
  timerfd_model m = cancellable();
  return m.clock_was_set() && m.read(0ns).error == status::canceled &&
         m.read(0ns).error == status::again;
}());
static_assert(std::is_trivially_copyable_v<timerfd_model> && sizeof(timerfd_model) <= 48);

}  // namespace

TEST_SUITE_BEGIN("timerfd_model");

TEST_CASE("E1: expires at the deadline, not a nanosecond before") {
  timerfd_model m = beating();
  CHECK_FALSE(m.expire(109ns));
  CHECK_FALSE(m.readable());
  CHECK(m.expire(110ns));
  CHECK(m.readable());
}

TEST_CASE("E2: lateness does not shift the phase") {
  timerfd_model m = beating();
  CHECK(m.expire(111ns));
  CHECK(m.read(111ns).count == 1);
  CHECK(m.next_deadline() == 113ns);
  CHECK(m.expire(1000ns));
  CHECK(m.read(1000ns).count == 296);  // 113, 116, ... 998
  CHECK(m.next_deadline() == 1001ns);
}

TEST_CASE("E3: a one-shot expires once and is disarmed") {
  timerfd_model m{clock_kind::boottime};
  m.settime({10ns, 0ns}, 0ns);
  CHECK(m.expire(500ns));
  CHECK_FALSE(m.expire(600ns));
  CHECK(m.next_deadline() == rules::never);
  CHECK(m.read(600ns) == timerfd_read{status::ok, 1, 10ns});
  CHECK(m.read(700ns).error == status::again);
}

TEST_CASE("E3, E5: an expired periodic timer waits outside the wheel, with its count exact") {
  timerfd_model m{clock_kind::monotonic};
  m.settime({1ns, 1ns}, 0ns);
  CHECK(m.expire(1ns));
  CHECK(m.next_deadline() == rules::never);
  CHECK(m.read(nanoseconds{1h}).count == 3'600'000'000'000u);
  CHECK(m.next_deadline() == nanoseconds{1h} + 1ns);
}

TEST_CASE("E7: an absolute deadline in the past is due at once, with its count") {
  timerfd_model m{clock_kind::monotonic};
  CHECK(m.settime({100ns, 10ns, absolute}, 195ns).error == status::ok);
  CHECK(m.next_deadline() == 100ns);
  CHECK(m.expire(195ns));
  CHECK(m.read(195ns).count == 10);
}

TEST_CASE("E8: a deadline past the end never fires, and nothing wraps") {
  timerfd_model m{clock_kind::monotonic};
  m.settime({nanoseconds::max(), nanoseconds::max()}, 500ns);
  CHECK(m.next_deadline() == rules::never);
  CHECK_FALSE(m.expire(nanoseconds::max()));
  CHECK(m.gettime(600ns).value == nanoseconds::max() - 600ns);
  m.settime({10ns, nanoseconds::max()}, 500ns);
  CHECK(m.expire(510ns));
  CHECK(m.read(520ns).count == 1);
  CHECK(m.next_deadline() == rules::never);
}

TEST_CASE("E9: invalid times are EINVAL and leave the earlier setting") {
  for (const new_setting& bad :
       {new_setting{-1ns, 0ns}, new_setting{1ns, -1ns}, new_setting{0ns, -1ns},
        new_setting{-1ns, 0ns, absolute, on_clock_set::cancel}}) {
    timerfd_model m = beating();
    m.expire(110ns);
    const timerfd_model before = m;
    CHECK(m.settime(bad, 120ns) == set_result{status::invalid, {}});
    CHECK(m == before);
  }
  timerfd_model m = cancellable();  // the wish to be told of clock steps stands as well
  m.settime({-1ns, 0ns}, {1ns, 1ns});
  CHECK(m.clock_was_set());
}

TEST_CASE(
    "C2: a relative realtime timer lives on the monotonic base, an absolute one on realtime") {
  timerfd_model m{clock_kind::realtime};
  CHECK(m.filed_on(relative) == base::monotonic);
  CHECK(m.filed_on(absolute) == base::realtime);
  m.settime({10ns, 0ns, relative}, {5000ns, 100ns});
  CHECK(m.filed_on() == base::monotonic);
  CHECK(m.next_deadline() == 110ns);
  // From relative to absolute: what is left is told on the old base, the new deadline lies on the
  // new one.
  CHECK(m.settime({9000ns, 0ns, absolute}, {104ns, 5004ns}).old.value == 6ns);
  CHECK(m.filed_on() == base::realtime);
  CHECK(m.next_deadline() == 9000ns);
  CHECK(m.settime({1ns, 0ns, relative}, {8000ns, 200ns}).old.value == 1000ns);
  CHECK(m.next_deadline() == 201ns);
}

TEST_CASE("C2: alarm clocks and TAI are added to their own base, so a step moves them") {
  CHECK(timerfd_model{clock_kind::realtime_alarm}.filed_on(relative) == base::realtime);
  CHECK(timerfd_model{clock_kind::boottime_alarm}.filed_on(relative) == base::boottime);
  CHECK(timerfd_model{clock_kind::boottime}.filed_on(relative) == base::boottime);
  CHECK(base_of(clock_kind::tai, relative) == base::tai);
  CHECK(base_of(clock_kind::process_cpu, absolute) == base::process_cpu);
  CHECK(base_of(clock_kind::thread_cpu, relative) == base::thread_cpu);
}

TEST_CASE("F3: settime clears the count") {
  timerfd_model m = beating();
  m.expire(110ns);
  m.settime({50ns, 0ns}, 200ns);
  CHECK_FALSE(m.readable());
  CHECK(m.read(200ns).error == status::again);
}

TEST_CASE("F4: settime returns the old setting: time left and interval") {
  timerfd_model m = beating();
  CHECK(m.settime({40ns, 7ns}, 103ns).old == timer_spec{7ns, 3ns});
}

TEST_CASE(
    "F4: settime returns the time to the next deadline of an expired periodic timer nobody read") {
  timerfd_model m = beating();
  m.expire(110ns);
  CHECK(m.settime({}, 120ns).old == timer_spec{2ns, 3ns});  // 122
}

TEST_CASE("F4: settime returns 0 for an expired one-shot") {
  timerfd_model m{clock_kind::monotonic};
  m.settime({10ns, 0ns}, 0ns);
  m.expire(10ns);
  CHECK(m.settime({5ns, 0ns}, 15ns).old == timer_spec{0ns, 0ns});
}

TEST_CASE("F5: value 0 disarms and keeps the interval") {
  timerfd_model m = beating();
  CHECK(m.settime({0ns, 5ns}, 105ns).error == status::ok);
  CHECK(m.next_deadline() == rules::never);
  CHECK(m.gettime(200ns) == timer_spec{0ns, 5ns});
  CHECK_FALSE(m.expire(1000ns));
  m.settime({0ns, 5ns, absolute}, 105ns);
  CHECK(m.gettime(200ns) == timer_spec{0ns, 5ns});
}

TEST_CASE("F5, 6.18: a disarmed alarm clock goes on telling the time to its old deadline") {
  timerfd_model m{clock_kind::realtime_alarm};
  m.settime({100ns, 0ns}, 0ns);
  m.settime({0ns, 5ns}, 10ns);
  CHECK(m.next_deadline() == rules::never);
  CHECK(m.gettime(30ns) == timer_spec{70ns, 5ns});
  CHECK(m.gettime(130ns) == timer_spec{0ns, 5ns});
}

TEST_CASE("F6: gettime is relative, catches up and loses no counts") {
  timerfd_model m = beating();
  CHECK(m.gettime(104ns) == timer_spec{6ns, 3ns});
  m.expire(110ns);
  CHECK(m.gettime(120ns) == timer_spec{2ns, 3ns});
  CHECK(m.next_deadline() == 122ns);  // back in the wheel
  CHECK(m.readable());
  CHECK(m.expire(123ns));
  CHECK(m.gettime(126ns) == timer_spec{2ns, 3ns});
  CHECK(m.read(126ns).count == 6);  // 110 .. 125
}

TEST_CASE("F7: read takes the count once; zero is EAGAIN or a wait") {
  timerfd_model m = beating();
  CHECK(m.read(105ns).error == status::again);
  CHECK(m.read(105ns, reader::blocking).error == status::again);
  m.expire(110ns);
  CHECK(m.read(110ns, reader::blocking) == timerfd_read{status::ok, 1, 110ns});
  CHECK(m.read(112ns).error == status::again);
  CHECK(m.next_deadline() == 113ns);
}

TEST_CASE("F8: readable exactly while the count is not 0") {
  timerfd_model m = beating();
  CHECK_FALSE(m.readable());
  m.expire(110ns);
  CHECK(m.readable());
  m.gettime(111ns);
  CHECK(m.readable());
  m.read(111ns);
  CHECK_FALSE(m.readable());
}

TEST_CASE("F10: only an absolute setting on a realtime clock with the flag is cancelled") {
  struct {
    clock_kind clock;
    reference from;
    on_clock_set step;
    bool told;
  } const cases[] = {
      {clock_kind::realtime, absolute, on_clock_set::cancel, true},
      {clock_kind::realtime_alarm, absolute, on_clock_set::cancel, true},
      {clock_kind::realtime, relative, on_clock_set::cancel, false},
      {clock_kind::realtime, absolute, on_clock_set::follow, false},
      {clock_kind::monotonic, absolute, on_clock_set::cancel, false},
      {clock_kind::boottime_alarm, absolute, on_clock_set::cancel, false},
  };
  for (const auto& c : cases) {
    timerfd_model m{c.clock};
    m.settime({1000ns, 0ns, c.from, c.step}, 0ns);
    CHECK(m.clock_was_set() == c.told);
    CHECK(m.readable() == c.told);
    CHECK(m.read(1ns).error == (c.told ? status::canceled : status::again));
  }
}

TEST_CASE("F10: the cancellation is read once, clears the count, and the timer stays armed") {
  timerfd_model m = cancellable();
  CHECK(m.clock_was_set());
  CHECK(m.clock_was_set());
  CHECK(m.read(1500ns).error == status::canceled);
  CHECK_FALSE(m.readable());
  CHECK(m.read(1500ns).error == status::again);
  CHECK(m.gettime(1500ns) == timer_spec{500ns, 0ns});
  CHECK(m.next_deadline() == 2000ns);
}

TEST_CASE(
    "F10, 6.18: a periodic timer that had expired is not put back by the read that is cancelled") {
  timerfd_model m = cancellable(10ns);
  m.expire(2000ns);
  m.clock_was_set();
  CHECK(m.read(2005ns).error == status::canceled);
  CHECK(m.next_deadline() == rules::never);
  CHECK(m.gettime(2100ns) == timer_spec{0ns, 10ns});
  // Asked first, it goes on.
  m = cancellable(10ns);
  m.expire(2000ns);
  m.clock_was_set();
  CHECK(m.gettime(2005ns) == timer_spec{5ns, 10ns});
  CHECK(m.read(2005ns).error == status::canceled);
  CHECK(m.next_deadline() == 2010ns);
}

TEST_CASE("F11: a settime that arms with both flags says ECANCELED and has armed") {
  timerfd_model m = cancellable();
  m.clock_was_set();
  CHECK(m.settime({3000ns, 0ns, absolute, on_clock_set::cancel}, 1500ns).error == status::canceled);
  CHECK(m.next_deadline() == 3000ns);
  CHECK_FALSE(m.readable());
  CHECK(m.read(1500ns).error == status::again);
}

TEST_CASE(
    "F11: one that disarms says 0; with both flags a later read still says ECANCELED, though poll "
    "is quiet") {
  timerfd_model m = cancellable();
  m.clock_was_set();
  CHECK(m.settime({0ns, 0ns, absolute, on_clock_set::cancel}, 1500ns).error == status::ok);
  CHECK_FALSE(m.readable());
  CHECK(m.read(1500ns, reader::blocking).error == status::again);  // it waits
  CHECK(m.read(1500ns).error == status::canceled);
  CHECK(m.read(1500ns).error == status::again);
}

TEST_CASE("F11, 6.18: a settime without both flags hides the cancellation until one with both") {
  for (const new_setting& plain :
       {new_setting{3000ns, 0ns, absolute}, new_setting{5ns, 0ns}, new_setting{}}) {
    timerfd_model m = cancellable();
    m.clock_was_set();
    CHECK(m.settime(plain, 1500ns).error == status::ok);
    CHECK(m.read(1500ns).error == status::again);
    CHECK(m.settime({3000ns, 0ns, absolute, on_clock_set::cancel}, 1500ns).error ==
          status::canceled);
    CHECK(m.settime({3000ns, 0ns, absolute, on_clock_set::cancel}, 1500ns).error == status::ok);
  }
}

TEST_CASE("F12: SET_TICKS sets the count, 0 is EINVAL") {
  timerfd_model m = beating();
  CHECK(m.set_ticks(0) == status::invalid);
  CHECK_FALSE(m.readable());
  CHECK(m.set_ticks(100) == status::ok);
  CHECK(m.readable());
  CHECK(m.next_deadline() == 110ns);
  CHECK(m.read(105ns).count == 100);
}

TEST_CASE("F12: expirations after the first that woke still add to ticks set") {
  timerfd_model m = beating();
  m.expire(110ns);
  CHECK(m.set_ticks(100) == status::ok);
  CHECK(m.read(117ns).count == 102);  // 113 and 116; 110 was overwritten
}

TEST_CASE(
    "F12, 6.18: a count that wraps to 0 is nothing to read, and the timer stays out of the wheel") {
  timerfd_model m = beating();
  m.set_ticks(~std::uint64_t{0});
  CHECK(m.expire(110ns));
  CHECK_FALSE(m.readable());
  CHECK(m.read(120ns).error == status::again);
  CHECK(m.next_deadline() == rules::never);
  CHECK(m.gettime(120ns).value == 2ns);  // asking puts it back
  CHECK(m.read(120ns).count == 3);
}

TEST_CASE("F12, 6.18: SET_TICKS uses a cancellation up and leaves the descriptor readable") {
  timerfd_model m = cancellable();
  m.clock_was_set();
  m.clock_was_set();
  CHECK(m.set_ticks(7) == status::canceled);
  CHECK(m.readable());
  CHECK(m.read(1500ns).count == 2);
}

TEST_CASE("F13: stepped back between expiry and read, a periodic timer has nothing to read") {
  timerfd_model m{clock_kind::realtime};
  m.settime({2000ns, 10ns, absolute}, 1000ns);
  CHECK(m.expire(2000ns));
  CHECK_FALSE(m.clock_was_set());
  timerfd_model blocking = m;
  CHECK(m.read(1990ns).error == status::again);
  CHECK(m.next_deadline() == 2000ns);  // and expires again
  const timerfd_read zero = blocking.read(1990ns, reader::blocking);
  CHECK(zero.error == status::ok);
  CHECK(zero.count == 0);
  CHECK(zero.scheduled == 2000ns);
  CHECK(blocking.next_deadline() == 2000ns);
  CHECK(blocking.expire(2000ns));
  CHECK(blocking.read(2000ns).count == 1);
}

TEST_CASE("F13: a one-shot still reports 1") {
  timerfd_model m{clock_kind::realtime};
  m.settime({2000ns, 0ns, absolute}, 1000ns);
  m.expire(2000ns);
  CHECK(m.read(1500ns) == timerfd_read{status::ok, 1, 2000ns});
}

TEST_CASE("F14, C2: a step past an absolute deadline makes it due; one back makes it wait") {
  timerfd_model m = cancellable();
  CHECK(m.clock_was_set());
  CHECK(m.expire(5000ns));
  CHECK(m.read(5000ns).error == status::canceled);
  timerfd_model back{clock_kind::realtime};
  back.settime({2000ns, 0ns, absolute}, 1999ns);
  CHECK_FALSE(back.expire(1000ns));
  CHECK(back.gettime(1000ns).value == 1000ns);
}

TEST_CASE("F16: a periodic timer wakes once until it is read or asked") {
  timerfd_model m = beating();
  CHECK(m.expire(110ns));
  CHECK_FALSE(m.expire(113ns));
  CHECK_FALSE(m.expire(999ns));
  m.gettime(1000ns);
  CHECK(m.expire(1001ns));
  CHECK_FALSE(m.expire(1004ns));
  m.read(1004ns);
  CHECK(m.expire(1007ns));
}

TEST_CASE(
    "F16: each settime of a one-shot gives a new edge, and makes the descriptor quiet until then") {
  timerfd_model m{clock_kind::monotonic};
  for (nanoseconds t = 0ns; t < 50ns; t += 10ns) {
    m.settime({10ns, 0ns}, t);
    CHECK_FALSE(m.readable());
    CHECK(m.expire(t + 10ns));
    CHECK(m.readable());
  }
}

TEST_CASE("a setting of the public kind becomes the model's") {
  const new_setting s{
      setting<realtime_clock>::at(realtime_clock::time_point{5s}, 2ns, cancel_on_clock_set)};
  CHECK(s.value == 5s);
  CHECK(s.interval == 2ns);
  CHECK(s.is_absolute());
  CHECK(s.on_clock_set == on_clock_set::cancel);
}

TEST_CASE("E4: beside a timer that passes every expiry one by one, in random operations") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int run = 0; run < 3000; ++run) {
    std::vector<std::uint8_t> program(static_cast<std::size_t>(20 + random() % 300));
    for (auto& b : program) b = static_cast<std::uint8_t>(random());
    REQUIRE(oracle::run_timerfd(program) == "");
  }
}

TEST_SUITE_END();
