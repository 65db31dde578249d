// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/clock.hpp>

#include <doctest/doctest.h>

#include <sys/timex.h>

#include <chrono>
#include <concepts>
#include <ctime>
#include <thread>
#include <type_traits>

#include "support/least_used.hpp"

using namespace std::chrono_literals;
using chime::nanoseconds;

namespace {

/// Cpp17TrivialClock ([time.clock.req]), in nanoseconds.
template <class C>
concept nanosecond_clock = std::chrono::treat_as_floating_point_v<typename C::rep> == false &&
                           std::same_as<typename C::duration, nanoseconds> &&
                           std::same_as<typename C::rep, nanoseconds::rep> &&
                           std::same_as<typename C::period, nanoseconds::period> &&
                           std::same_as<typename C::time_point::duration, nanoseconds> &&
                           std::same_as<const bool, decltype(C::is_steady)> && requires {
                             { C::now() } noexcept -> std::same_as<typename C::time_point>;
                           };

using chime::boottime_alarm_clock;
using chime::boottime_clock;
using chime::monotonic_clock;
using chime::process_cpu_clock;
using chime::realtime_alarm_clock;
using chime::realtime_clock;
using chime::tai_clock;
using chime::thread_cpu_clock;

static_assert(nanosecond_clock<monotonic_clock> && nanosecond_clock<boottime_clock>);
static_assert(nanosecond_clock<realtime_clock> && nanosecond_clock<tai_clock>);
static_assert(nanosecond_clock<realtime_alarm_clock> && nanosecond_clock<boottime_alarm_clock>);
static_assert(nanosecond_clock<process_cpu_clock> && nanosecond_clock<thread_cpu_clock>);

// C1: those that follow the wall clock can be set.
static_assert(!realtime_clock::is_steady && !realtime_alarm_clock::is_steady &&
              !tai_clock::is_steady);
static_assert(monotonic_clock::is_steady && boottime_clock::is_steady &&
              boottime_alarm_clock::is_steady);
static_assert(process_cpu_clock::is_steady && thread_cpu_clock::is_steady);

static_assert(chime::counts_cpu(process_cpu_clock::kind) &&
              chime::counts_cpu(thread_cpu_clock::kind));
static_assert(!chime::counts_cpu(monotonic_clock::kind) && !chime::counts_cpu(tai_clock::kind));

// A deadline taken from a clock sets its alarm clock; calendar arithmetic gives deadlines for realtime.
static_assert(std::same_as<realtime_alarm_clock::time_point, realtime_clock::time_point>);
static_assert(std::same_as<boottime_alarm_clock::time_point, boottime_clock::time_point>);
static_assert(std::same_as<realtime_clock::time_point, std::chrono::sys_time<nanoseconds>>);

// Times of different clocks do not mix.
static_assert(!std::convertible_to<monotonic_clock::time_point, boottime_clock::time_point>);
static_assert(!std::convertible_to<tai_clock::time_point, realtime_clock::time_point>);
static_assert(!std::convertible_to<process_cpu_clock::time_point, thread_cpu_clock::time_point>);

nanoseconds kernel_time(clockid_t id) {
  ::timespec t{};
  REQUIRE_EQ(::clock_gettime(id, &t), 0);
  return std::chrono::seconds{t.tv_sec} + nanoseconds{t.tv_nsec};
}

template <class Clock>
nanoseconds now() {
  return Clock::now().time_since_epoch();
}

template <class Clock>
void burn(nanoseconds cpu) {
  for (const auto end = Clock::now() + cpu; Clock::now() < end;) {
  }
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("each clock reads what the kernel's reads", Row, agrees) {
  const nanoseconds before = kernel_time(Row::id);
  const nanoseconds between = now<typename Row::clock>();
  const nanoseconds after = kernel_time(Row::id);
  CHECK_LE(before.count(), between.count());
  CHECK_LE(between.count(), after.count());
}
template <class Clock, clockid_t Id>
struct row {
  using clock = Clock;
  static constexpr clockid_t id = Id;
};
TEST_CASE_TEMPLATE_APPLY(
    agrees,
    std::tuple<row<monotonic_clock, CLOCK_MONOTONIC>, row<boottime_clock, CLOCK_BOOTTIME>,
               row<realtime_clock, CLOCK_REALTIME>, row<tai_clock, CLOCK_TAI>,
               row<realtime_alarm_clock, CLOCK_REALTIME>, row<boottime_alarm_clock, CLOCK_BOOTTIME>,
               row<process_cpu_clock, CLOCK_PROCESS_CPUTIME_ID>,
               row<thread_cpu_clock, CLOCK_THREAD_CPUTIME_ID>>);

TEST_CASE_TEMPLATE("a steady clock never runs back", Clock, monotonic_clock, boottime_clock,
                   boottime_alarm_clock, process_cpu_clock, thread_cpu_clock) {
  auto last = Clock::now();
  for (int i = 0; i < 10'000; ++i) {
    const auto next = Clock::now();
    REQUIRE_GE(next.time_since_epoch().count(), last.time_since_epoch().count());
    last = next;
  }
}

TEST_CASE("C1: TAI is REALTIME and the offset") {
  ::timex state{};
  REQUIRE_NE(::adjtimex(&state), -1);
  constexpr nanoseconds step = 2ns;  // by which another test may set the clock meanwhile
  const nanoseconds before = now<realtime_clock>();
  const nanoseconds tai = now<tai_clock>() - std::chrono::seconds{state.tai};
  const nanoseconds after = now<realtime_clock>();
  CHECK_LE((before - step).count(), tai.count());
  CHECK_LE(tai.count(), (after + step).count());
}

TEST_CASE("C3: the CPU clocks count who runs, and stand still for who does not") {
  constexpr nanoseconds work = 20ms;
  const nanoseconds idle = support::least_used<thread_cpu_clock>([&] {
    const nanoseconds process = now<process_cpu_clock>();
    nanoseconds busy_thread{};
    std::thread{[&] {
      const nanoseconds begin = now<thread_cpu_clock>();
      burn<thread_cpu_clock>(work);
      busy_thread = now<thread_cpu_clock>() - begin;
    }}.join();
    CHECK_GE(busy_thread.count(), work.count());
    CHECK_GE((now<process_cpu_clock>() - process).count(), busy_thread.count());
  });
  // Starting and joining a thread takes CPU time too, but nothing like the thread's own.
  CHECK_LT(idle.count(), (work / 2).count());
}
