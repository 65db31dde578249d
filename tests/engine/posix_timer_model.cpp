// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// posix_timer_model against rules P, in virtual time: an instant is a number.

#include <chime/engine/posix_timer_model.hpp>

#include "model_oracles.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using namespace chime;
using namespace chime::engine;
using namespace std::chrono_literals;

namespace {

constexpr auto absolute = reference::absolute;

/// Set at 100 ns: first deadline 110 ns, then every 10 ns.
constexpr posix_timer_model beating(notifies how = notifies::by_signal,
                                    clock_kind clock = clock_kind::monotonic) {
  posix_timer_model m{clock, how};
  m.settime({10ns, 10ns}, 100ns);
  return m;
}

/// The host's part: takes the notification that is queued now.
constexpr acceptance accept(posix_timer_model& m, nanoseconds now) {
  return m.accept(now, m.sequence());
}

static_assert([] {
  posix_timer_model m = beating();
  const bool send = m.expire(110ns);
  const acceptance a = accept(m, 137ns);
  return send && a == acceptance{true, 3, 130ns} && a.overrun() == 2 && m.next_deadline() == 140ns;
}());
static_assert(std::is_trivially_copyable_v<posix_timer_model> && sizeof(posix_timer_model) <= 56);

}  // namespace

TEST_SUITE_BEGIN("posix_timer_model");

TEST_CASE("P2: settime returns the old setting; invalid times are EINVAL and change nothing") {
  posix_timer_model m = beating();
  CHECK(m.settime({50ns, 7ns}, 104ns) == set_result{status::ok, {6ns, 10ns}});
  m.expire(154ns);
  const posix_timer_model before = m;
  for (const new_setting& bad :
       {new_setting{-1ns, 0ns}, new_setting{1ns, -1ns}, new_setting{0ns, -1ns}}) {
    CHECK(m.settime(bad, 160ns).error == status::invalid);
    CHECK(m == before);
  }
}

TEST_CASE("P3: value 0 disarms and clears the interval") {
  posix_timer_model m = beating();
  m.settime({0ns, 5ns}, 105ns);
  CHECK(m.gettime(106ns) == timer_spec{0ns, 0ns});
  CHECK(m.next_deadline() == rules::never);
  CHECK_FALSE(m.expire(1000ns));
}

TEST_CASE("P4: settime drops the pending notification and sets the overrun to 0") {
  posix_timer_model m = beating();
  m.expire(110ns);
  accept(m, 137ns);
  CHECK(m.getoverrun() == 2);
  CHECK(m.expire(140ns));
  const std::uint32_t queued = m.sequence();
  m.settime({10ns, 10ns}, 145ns);
  CHECK(m.getoverrun() == 0);
  CHECK_FALSE(m.accept(146ns, queued).counts);
  CHECK(m.next_deadline() == 155ns);
  CHECK(m.expire(155ns));
  CHECK_FALSE(m.accept(156ns, queued).counts);  // a leftover tells nothing of the new setting
  CHECK(accept(m, 156ns).counts);
}

TEST_CASE("P5: one notification is pending, and its overrun is fixed when it is accepted") {
  posix_timer_model m = beating();
  CHECK(m.expire(110ns));
  CHECK_FALSE(m.expire(120ns));
  CHECK(m.next_deadline() == rules::never);
  CHECK(m.getoverrun() == 0);
  CHECK(accept(m, 200ns) == acceptance{true, 10, 200ns});
  CHECK(m.getoverrun() == 9);
  CHECK(m.next_deadline() == 210ns);
  CHECK(m.expire(210ns));
  CHECK(m.getoverrun() == 9);  // of the last one accepted
  CHECK(accept(m, 210ns).overrun() == 0);
  CHECK(m.getoverrun() == 0);
}

TEST_CASE("P5: nothing pending, or accepted already: nothing to accept") {
  posix_timer_model m = beating();
  CHECK_FALSE(accept(m, 105ns).counts);
  m.expire(110ns);
  const std::uint32_t queued = m.sequence();
  CHECK(m.accept(110ns, queued).counts);
  CHECK_FALSE(m.accept(111ns, queued).counts);
  CHECK_FALSE(accept(m, 111ns).counts);
}

TEST_CASE("P6: overrun saturates at DELAYTIMER_MAX; the expirations are exact") {
  posix_timer_model m{clock_kind::monotonic};
  m.settime({1ns, 1ns}, 0ns);
  m.expire(1ns);
  const acceptance a = accept(m, 3s);
  CHECK(a.expirations == 3'000'000'000u);
  CHECK(a.overrun() == 2147483647);
  CHECK(m.getoverrun() == 2147483647);
}

TEST_CASE("P7: gettime is relative even when set absolutely") {
  posix_timer_model m{clock_kind::realtime};
  m.settime({5000ns, 30ns, absolute}, {100ns, 4000ns});
  CHECK(m.filed_on() == base::realtime);
  CHECK(m.gettime(4100ns) == timer_spec{900ns, 30ns});
}

TEST_CASE("P7: periodic: time to the next deadline, pending or not, and asking loses nothing") {
  posix_timer_model m = beating();
  CHECK(m.gettime(103ns) == timer_spec{7ns, 10ns});
  m.expire(110ns);
  CHECK(m.gettime(125ns) == timer_spec{5ns, 10ns});
  CHECK(m.gettime(147ns) == timer_spec{3ns, 10ns});
  CHECK(m.next_deadline() == rules::never);  // still pending
  CHECK(accept(m, 148ns) == acceptance{true, 4, 140ns});
}

TEST_CASE("P7: one-shot expired: 0 and 0, accepted or not") {
  posix_timer_model m{clock_kind::monotonic};
  m.settime({10ns, 0ns}, 0ns);
  CHECK(m.expire(10ns));
  CHECK(m.gettime(11ns) == timer_spec{});
  CHECK(accept(m, 12ns) == acceptance{true, 1, 10ns});
  CHECK(m.gettime(13ns) == timer_spec{});
  CHECK(m.settime({5ns, 0ns}, 14ns).old == timer_spec{});
}

TEST_CASE("P7: one-shot expired stays 0 when the clock is stepped back") {
  posix_timer_model m{clock_kind::realtime};
  m.settime({2000ns, 0ns, absolute}, 1000ns);
  m.expire(2000ns);
  CHECK(m.gettime(1500ns) == timer_spec{});
}

TEST_CASE("P7: due but not told so yet: 1 ns, not 0") {
  posix_timer_model m{clock_kind::monotonic};
  m.settime({10ns, 0ns}, 0ns);
  CHECK(m.gettime(15ns).value == 1ns);
}

TEST_CASE(
    "6.18: SIGEV_NONE, disarmed, is as it was left: carried on only if the old setting was asked "
    "for") {
  posix_timer_model asked = beating(notifies::never);
  posix_timer_model silent = asked;
  CHECK(asked.settime({}, 135ns).old == timer_spec{5ns, 10ns});
  CHECK(asked.gettime(135ns) == timer_spec{5ns, 0ns});
  CHECK(silent.settime({}, 135ns, false).old == timer_spec{});
  CHECK(silent.gettime(135ns) == timer_spec{});
}

TEST_CASE("6.18: SIGEV_NONE, disarmed, stays on the base that it was on") {
  posix_timer_model m{clock_kind::realtime, notifies::never};
  m.settime({100ns, 0ns}, {10ns, 10ns});  // relative: monotonic
  m.settime({0ns, 0ns, absolute}, {20ns, 5'000ns});
  CHECK(m.filed_on() == base::monotonic);
  CHECK(m.gettime(30ns) == timer_spec{80ns, 0ns});
}

TEST_CASE("P8: SIGEV_NONE never notifies; gettime counts down, overrun stays 0") {
  posix_timer_model m = beating(notifies::never);
  CHECK(m.next_deadline() == rules::never);
  CHECK_FALSE(m.expire(110ns));
  CHECK(m.gettime(104ns) == timer_spec{6ns, 10ns});
  CHECK(m.gettime(137ns) == timer_spec{3ns, 10ns});
  CHECK_FALSE(accept(m, 138ns).counts);
  CHECK(m.getoverrun() == 0);
  m.settime({10ns, 0ns}, 200ns);
  CHECK(m.gettime(204ns) == timer_spec{6ns, 0ns});
  CHECK(m.gettime(300ns) == timer_spec{0ns, 0ns});
}

TEST_CASE(
    "P8, 6.18: disarmed, SIGEV_NONE goes on telling the time to its old deadline, but not on a CPU "
    "clock") {
  posix_timer_model m = beating(notifies::never);
  m.settime({}, 103ns);
  CHECK(m.gettime(104ns) == timer_spec{6ns, 0ns});
  CHECK(m.gettime(111ns) == timer_spec{0ns, 0ns});
  posix_timer_model cpu = beating(notifies::never, clock_kind::process_cpu);
  cpu.settime({}, 103ns);
  CHECK(cpu.gettime(104ns) == timer_spec{});
}

TEST_CASE("P9: delete drops the pending notification") {
  posix_timer_model m = beating();
  m.expire(110ns);
  const std::uint32_t queued = m.sequence();
  m.withdraw();
  CHECK_FALSE(m.accept(120ns, queued).counts);
}

TEST_CASE(
    "P11: an ignored periodic timer counts on without running; heeded again, one notification has "
    "it all") {
  posix_timer_model m = beating();
  CHECK(m.expire(110ns));
  m.ignored();
  CHECK(m.next_deadline() == rules::never);
  CHECK_FALSE(accept(m, 120ns).counts);
  CHECK(m.gettime(155ns) == timer_spec{5ns, 10ns});
  CHECK(m.no_longer_ignored());
  CHECK_FALSE(m.no_longer_ignored());
  CHECK(accept(m, 178ns) == acceptance{true, 7, 170ns});
  CHECK(m.next_deadline() == 180ns);
}

TEST_CASE("P11: an ignored one-shot is gone, and so is what a new setting left parked") {
  posix_timer_model m{clock_kind::monotonic};
  m.settime({10ns, 0ns}, 0ns);
  m.expire(10ns);
  m.ignored();
  CHECK_FALSE(m.no_longer_ignored());
  CHECK_FALSE(accept(m, 20ns).counts);
  m = beating();
  m.expire(110ns);
  m.ignored();
  m.settime({500ns, 0ns}, 120ns);
  CHECK_FALSE(m.no_longer_ignored());
}

TEST_CASE("C2: relative realtime on monotonic, relative TAI on TAI") {
  posix_timer_model m{clock_kind::realtime};
  m.settime({10ns, 0ns}, {5000ns, 100ns});
  CHECK(m.filed_on() == base::monotonic);
  CHECK(m.next_deadline() == 110ns);
  CHECK(m.filed_on(absolute) == base::realtime);
  CHECK(m.settime({10ns, 0ns, absolute}, {103ns, 5003ns}).old.value == 7ns);
  CHECK(posix_timer_model{clock_kind::tai}.filed_on(reference::relative) == base::tai);
}

TEST_CASE("C2: stepped back between expiry and acceptance, a periodic timer expires again") {
  posix_timer_model m{clock_kind::realtime};
  m.settime({2000ns, 10ns, absolute}, 1000ns);
  CHECK(m.expire(2000ns));
  const acceptance a = accept(m, 1500ns);
  CHECK(a.counts);
  CHECK(a.expirations == 0);
  CHECK(a.overrun() == 0);
  CHECK(a.scheduled == 2000ns);
  CHECK(m.next_deadline() == 2000ns);
  CHECK(m.expire(2000ns));
  CHECK(accept(m, 2000ns).expirations == 1);
}

TEST_CASE("E7, E8: a past absolute deadline is due with its count; past the end never fires") {
  posix_timer_model m{clock_kind::monotonic};
  m.settime({100ns, 10ns, absolute}, 195ns);
  CHECK(m.expire(195ns));
  CHECK(accept(m, 195ns).expirations == 10);
  m.settime({nanoseconds::max(), 1ns}, 195ns);
  CHECK_FALSE(m.expire(nanoseconds::max()));
  CHECK(m.next_deadline() == rules::never);
}

TEST_CASE("E4: beside a timer that passes every expiry one by one, in random operations") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int run = 0; run < 3000; ++run) {
    std::vector<std::uint8_t> program(static_cast<std::size_t>(20 + random() % 300));
    for (auto& b : program) b = static_cast<std::uint8_t>(random());
    REQUIRE(oracle::run_posix(program) == "");
  }
}

TEST_SUITE_END();
