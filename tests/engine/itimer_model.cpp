// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// The itimer models against rules I, in virtual time: an instant is a number.

#include <chime/engine/itimer_model.hpp>
#include <chime/engine/ticking_itimer.hpp>

#include "model_oracles.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using namespace chime;
using namespace chime::engine;
using namespace std::chrono_literals;

namespace {

constexpr nanoseconds tick = 4ms;

constexpr real_itimer_model real(nanoseconds value, nanoseconds interval = 0ns) {
  real_itimer_model m;
  m.settime({value, interval}, 0ns);
  return m;
}
constexpr cpu_itimer_model prof(nanoseconds value, nanoseconds interval = 0ns) {
  cpu_itimer_model m{base::process_cpu, tick};
  m.settime({value, interval}, 0ns);
  return m;
}

static_assert([] {
  real_itimer_model m = real(10us, 10us);
  return m.expire(10us) && m.accept(35us) == itimer_acceptance{3, 30us} &&
         m.next_deadline() == 40us;
}());
static_assert([] {
  real_itimer_model m;
  m.alarm(2, 0ns);
  return m.alarm(0, 1ns) == 2;
}());

}  // namespace

TEST_SUITE_BEGIN("itimer_model");

TEST_CASE("E9: invalid times are EINVAL and change nothing") {
  real_itimer_model r = real(10us, 5us);
  cpu_itimer_model c = prof(10us, 5us);
  const auto r0 = r;
  const auto c0 = c;
  for (const timer_spec& bad :
       {timer_spec{-1us, 0us}, timer_spec{1us, -1us}, timer_spec{0us, -1us}}) {
    CHECK(r.settime(bad, 1us) == set_result{status::invalid, {}});
    CHECK(c.settime(bad, 1us) == set_result{status::invalid, {}});
  }
  CHECK(r == r0);
  CHECK(c == c0);
}

TEST_CASE("I1: alarm and ITIMER_REAL are the same timer") {
  real_itimer_model m = real(10s, 3s);
  CHECK(m.alarm(5, 1s) == 9);
  CHECK(m.gettime(1s) == timer_spec{5s, 0s});
  CHECK(m.settime({}, 2s).old == timer_spec{4s, 0s});
  CHECK(m.alarm(0, 3s) == 0);
}

TEST_CASE(
    "I2: whole microseconds, truncated; 6.18 says 0 in the last one, and 1 when due and not told "
    "so") {
  real_itimer_model m = real(10us, 3500ns);
  CHECK(m.gettime(1ns) == timer_spec{9us, 3us});
  CHECK(m.gettime(8999ns).value == 1us);
  CHECK(m.gettime(9001ns).value == 0us);
  CHECK(m.gettime(10us).value == 1us);
  CHECK(m.gettime(50us).value == 1us);
  CHECK(m.settime({1s, 0s}, 8999ns).old == timer_spec{1us, 3us});
}

TEST_CASE("I3: value 0 disarms; REAL clears the interval, VIRTUAL and PROF keep it") {
  real_itimer_model r = real(10us, 5us);
  r.settime({0us, 5us}, 1us);
  CHECK(r.gettime(2us) == timer_spec{0us, 0us});
  CHECK(r.next_deadline() == rules::never);
  CHECK_FALSE(r.expire(1s));
  cpu_itimer_model c = prof(10us, 5us);
  c.settime({0us, 5ms}, 1us);
  CHECK(c.gettime(2us) == timer_spec{0us, 5ms});
  CHECK(c.next_deadline() == rules::never);
  CHECK_FALSE(c.expire(1s));
}

TEST_CASE("I4: expired and pending: value 0, interval as set; accepted, it re-arms in phase") {
  real_itimer_model m = real(10us, 10us);
  CHECK(m.expire(10us));
  CHECK_FALSE(m.expire(20us));
  CHECK(m.next_deadline() == rules::never);
  CHECK(m.gettime(25us) == timer_spec{0us, 10us});
  CHECK(m.accept(47us) == itimer_acceptance{4, 40us});  // the kernel would say nothing of the four
  CHECK(m.next_deadline() == 50us);
  CHECK(m.gettime(47us) == timer_spec{3us, 10us});
  CHECK(m.accept(48us).expirations == 0);
}

TEST_CASE("I4: a one-shot stands for 1") {
  real_itimer_model m = real(10us);
  CHECK(m.expire(12us));
  CHECK(m.gettime(12us) == timer_spec{});
  CHECK(m.accept(20us) == itimer_acceptance{1, 10us});
  CHECK(m.accept(21us).expirations == 0);
}

TEST_CASE("I5: CPU timers: a tick is added on setting, never early") {
  cpu_itimer_model m = prof(1s);
  CHECK(m.gettime(0ns) == timer_spec{1004ms, 0ms});
  CHECK(m.next_deadline() == 1004ms);
  CHECK_FALSE(m.expire(1004ms - 1ns));
  CHECK(m.expire(1004ms));
  CHECK(m.gettime(1004ms) == timer_spec{});
  CHECK(m.settime({2s, 1s}, 2s).old == timer_spec{});
  CHECK(m.settime({2s, 1s}, 3s).old == timer_spec{1004ms, 1s});
}

TEST_CASE(
    "I5: each look expires at most once and adds one interval: a starved timer catches up look by "
    "look") {
  cpu_itimer_model m = prof(1ms, 1ms);  // deadlines 5 ms, 6 ms, ...
  CHECK(m.expire(8ms));
  CHECK(m.next_deadline() == 6ms);
  CHECK(m.gettime(8ms).value == tick);  // due at the next look
  CHECK(m.settime({1ms, 1ms}, 8ms).old == timer_spec{tick, 1ms});
  m = prof(1ms, 1ms);
  int signals = 0;
  for (nanoseconds look = tick; look <= 40ms; look += tick) signals += m.expire(look) ? 1 : 0;
  CHECK(signals == 9);  // not at 4 ms, then at every look
  CHECK(m.next_deadline() == 14ms);
  CHECK(m.accept(40ms) == itimer_acceptance{9, 13ms});
  CHECK(m.accept(40ms).expirations == 0);
}

TEST_CASE("I5: where nobody has looked for long, what each tick would have counted is counted") {
  ticking_itimer m{base::process_cpu};
  m.settime({10ms, 10ms}, 0ns);  // deadlines 14 ms, 24 ms, ...
  CHECK_FALSE(m.expire(14ms - 1ns));
  CHECK(m.expire(210ms));
  CHECK(m.accept(210ms) == itimer_acceptance{20, 204ms});
  CHECK(m.next_deadline() == 214ms);
  m.settime({1ms, 1ms}, 300ms);  // looks at 305 ms, 309 ms, ...
  CHECK(m.expire(400ms));
  CHECK(m.accept(400ms).expirations == 24);
  m.settime({1ms, 0ns}, 400ms);  // once
  CHECK(m.expire(800ms));
  CHECK(m.accept(800ms).expirations == 1);
  CHECK_FALSE(m.expire(rules::never));
}

TEST_CASE("I6: disarming does not withdraw the signal that is pending") {
  real_itimer_model m = real(10us, 10us);
  m.expire(10us);
  m.settime({}, 15us);
  CHECK(m.accept(100us).expirations == 1);
  CHECK(m.next_deadline() == rules::never);
  // A new setting meets the old one's signal: it is not re-armed by it.
  m = real(10us, 10us);
  m.expire(10us);
  m.settime({1s, 5us}, 15us);
  CHECK(m.accept(100us).expirations == 1);
  CHECK(m.next_deadline() == 1s + 15us);
}

TEST_CASE("I8: alarm rounds what is left to nearest, never to 0 while it runs") {
  struct {
    nanoseconds left;
    unsigned says;
  } const cases[] = {{2400ms, 2}, {2600ms, 3}, {2500ms, 3}, {2499999999ns, 2}, {1ms, 1},
                     {1ns, 1},    {1400ms, 1}, {499ms, 1},  {0s, 0},           {3s, 3}};
  for (const auto& c : cases) {
    CAPTURE(c.left.count());
    CHECK(rules::alarm_seconds(c.left) == c.says);
    real_itimer_model m = real(10s);
    CHECK(m.alarm(7, 10s - c.left) ==
          (c.left == 0s ? 1u : c.says));  // due and not told so yet: still 1
  }
  real_itimer_model m = real(1s);
  m.expire(1s);
  CHECK(m.alarm(0, 1s) == 0);
}

TEST_CASE("I9: setitimer with no new value disarms and reports the old one") {
  real_itimer_model m = real(10us, 5us);
  CHECK(m.settime(timer_spec{}, 4us).old == timer_spec{6us, 5us});
  CHECK(m.gettime(4us) == timer_spec{});
}

TEST_CASE("I10: ignored, a periodic REAL timer stops, with its interval kept") {
  real_itimer_model m = real(10us, 10us);
  CHECK(m.expire(10us));
  m.ignored();
  CHECK(m.gettime(1s) == timer_spec{0us, 10us});
  CHECK(m.next_deadline() == rules::never);
  CHECK_FALSE(m.expire(1s));
  // 6.18: any process-directed SIGALRM that is accepted starts it again, in phase.
  CHECK(m.accept(1003us).expirations == 100);
  CHECK(m.next_deadline() == 1010us);
}

TEST_CASE("I10: an ignored one-shot is gone; a CPU timer goes on") {
  real_itimer_model m = real(10us);
  m.expire(10us);
  m.ignored();
  CHECK(m.accept(20us).expirations == 0);
  cpu_itimer_model c = prof(1ms, 1ms);
  c.expire(8ms);
  c.ignored();
  CHECK(c.accept(8ms).expirations == 0);
  CHECK(c.next_deadline() == 6ms);
}

TEST_CASE("E8: past the end never fires") {
  real_itimer_model r = real(nanoseconds::max(), nanoseconds::max());
  CHECK_FALSE(r.expire(nanoseconds::max()));
  cpu_itimer_model c = prof(nanoseconds::max(), nanoseconds::max());
  CHECK(c.next_deadline() == rules::never);
  CHECK_FALSE(c.expire(nanoseconds::max()));
}

TEST_CASE("the bases: REAL on monotonic, VIRTUAL on user time, PROF on user + system") {
  CHECK(real_itimer_model::filed_on() == base::monotonic);
  CHECK(cpu_itimer_model{base::user_cpu, tick}.filed_on() == base::user_cpu);
  CHECK(prof(1s).filed_on() == base::process_cpu);
}

TEST_CASE("E4: beside timers that pass every expiry one by one, in random operations") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int run = 0; run < 3000; ++run) {
    std::vector<std::uint8_t> program(static_cast<std::size_t>(20 + random() % 300));
    for (auto& b : program) b = static_cast<std::uint8_t>(random());
    REQUIRE(oracle::run_itimer(program) == "");
  }
}

TEST_SUITE_END();
