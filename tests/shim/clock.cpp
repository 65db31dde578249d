// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/shim/clock.hpp>

#include <support/kernel_timerfd.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <ctime>

using namespace support;
namespace shim = chime::shim;

// Where the TAI offset was never set, TAI reads as REALTIME: only its number tells.
using chime::clock_kind;
static_assert(shim::id_of(clock_kind::realtime) == clock_id::realtime);
static_assert(shim::id_of(clock_kind::monotonic) == clock_id::monotonic);
static_assert(shim::id_of(clock_kind::boottime) == clock_id::boottime);
static_assert(shim::id_of(clock_kind::realtime_alarm) == clock_id::realtime_alarm);
static_assert(shim::id_of(clock_kind::boottime_alarm) == clock_id::boottime_alarm);
static_assert(shim::id_of(clock_kind::tai) == clock_id::tai);
static_assert(shim::id_of(clock_kind::process_cpu) == clock_id::process_cputime);
static_assert(shim::id_of(clock_kind::thread_cpu) == clock_id::thread_cputime);
static_assert(static_cast<clockid_t>(clock_id::tai) == CLOCK_TAI);

TEST_CASE("clock_gettime reads the kernel's clocks") {
  for (const auto id :
       {clock_id::realtime, clock_id::monotonic, clock_id::boottime, clock_id::tai,
        clock_id::process_cputime, clock_id::thread_cputime, clock_id::monotonic_raw}) {
    CAPTURE(static_cast<int>(id));
    ::timespec t{};
    const auto libc_now = [&] {
      REQUIRE_EQ(::clock_gettime(static_cast<clockid_t>(id), &t), 0);
      return std::chrono::seconds{t.tv_sec} + nanoseconds{t.tv_nsec};
    };
    const nanoseconds before = libc_now();
    const nanoseconds between = now(id);
    const nanoseconds after = libc_now();
    CHECK_LE(before.count(), between.count());
    CHECK_LE(between.count(), after.count());
  }
}

TEST_CASE("clock_getres tells a coarse clock from a fine one") {
  const auto fine = shim::clock_getres(clock_id::monotonic);
  const auto coarse = shim::clock_getres(clock_id::monotonic_coarse);
  REQUIRE_EQ(error_of(fine), 0);
  REQUIRE_EQ(error_of(coarse), 0);
  CHECK_EQ(fine->tv_sec, 0);
  CHECK_EQ(fine->tv_nsec, 1);
  CHECK_EQ(coarse->tv_sec, 0);
  CHECK_GE(coarse->tv_nsec, 1'000'000);  // a tick: 1 ms at HZ=1000, 10 ms at HZ=100
}

TEST_CASE("a clock that is none is EINVAL") {
  constexpr auto no_clock = static_cast<clock_id>(1000);
  CHECK_EQ(error_of(shim::clock_gettime(no_clock)), EINVAL);
  CHECK_EQ(error_of(shim::clock_getres(no_clock)), EINVAL);
}
