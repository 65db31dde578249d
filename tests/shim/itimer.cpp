// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/shim/itimer.hpp>

#include <support/in_child.hpp>
#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>

#include <doctest/doctest.h>

#include <signal.h>

#include <cerrno>
#include <cstdint>
#include <thread>
#include <utility>

using namespace support;
using shim::itimer_id;

namespace {

constexpr itimer_id kinds[] = {itimer_id::real, itimer_id::virt, itimer_id::prof};

nanoseconds of(const shim::timeval& t) {
  return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec};
}

}  // namespace

TEST_CASE_FIXTURE(no_leak, "I1: any other kind is EINVAL") {
  for (const int which : {-1, 3, 1 << 30}) {
    const auto unknown = static_cast<itimer_id>(which);
    CHECK_EQ(error_of(shim::getitimer(unknown)), EINVAL);
    CHECK_EQ(error_of(shim::setitimer(unknown, {})), EINVAL);
    CHECK_EQ(error_of(shim::setitimer(unknown)), EINVAL);
    CHECK_EQ(error_of(shim::borrowed_itimer::take(unknown)), EINVAL);
  }
}

TEST_CASE_FIXTURE(no_leak, "E9: bad times are EINVAL and leave the earlier setting") {
  const shim::itimerval bad[] = {{{0, 0}, {-1, 0}}, {{0, 0}, {0, -1}}, {{0, 0}, {0, 1'000'000}},
                                 {{-1, 0}, {1, 0}}, {{0, -1}, {1, 0}}, {{0, 1'000'000}, {1, 0}}};
  for (const auto which : kinds) {
    REQUIRE_EQ(error_of(shim::setitimer(which, {{7, 0}, {3600, 0}})), 0);
    for (const auto& setting : bad) CHECK_EQ(error_of(shim::setitimer(which, setting)), EINVAL);
    const auto left = shim::setitimer(which).value();  // I9
    CHECK_EQ(of(left.it_interval), 7s);
    CHECK_GT(of(left.it_value), 59min);
    CHECK_LE(of(left.it_value), 1h + 20ms);  // I5: a tick more, whatever that is here
    CHECK_EQ(of(shim::getitimer(which)->it_value), 0s);
  }
}

TEST_CASE_FIXTURE(no_leak, "I3: disarming clears the interval of REAL, and keeps the others'") {
  for (const auto which : kinds) {
    REQUIRE_EQ(error_of(shim::setitimer(which, {{0, 5000}, {0, 0}})), 0);
    CHECK_EQ(of(shim::getitimer(which)->it_interval), which == itimer_id::real ? 0ms : 5ms);
    REQUIRE_EQ(error_of(shim::setitimer(which, {})), 0);
  }
}

TEST_CASE_FIXTURE(no_leak, "I1, I8: alarm is the REAL timer, rounded to nearest and never to 0") {
  const auto seconds_of = [](std::int64_t seconds, std::int64_t micros) {
    REQUIRE_EQ(error_of(shim::setitimer(itimer_id::real, {{0, 0}, {seconds, micros}})), 0);
    return shim::alarm(0);
  };
  CHECK_EQ(seconds_of(1000, 400'000), 1000);
  CHECK_EQ(seconds_of(1000, 900'000), 1001);
  CHECK_EQ(seconds_of(0, 300'000), 1);
  CHECK_EQ(shim::alarm(0), 0);
  CHECK_EQ(shim::alarm(5000), 0);
  CHECK_GT(of(shim::getitimer(itimer_id::real)->it_value), 4900s);
  CHECK_EQ(shim::alarm(0), 5000);
}

TEST_CASE_FIXTURE(no_leak, "a borrowed timer is given back as it was") {
  REQUIRE_EQ(error_of(shim::setitimer(itimer_id::real, {{7, 0}, {3600, 0}})), 0);
  {
    auto a = shim::borrowed_itimer::take(itimer_id::real).value();
    CHECK_EQ(of(shim::getitimer(itimer_id::real)->it_value), 0s);
    CHECK_EQ(of(a.earlier().it_interval), 7s);
    CHECK_EQ(a.which(), itimer_id::real);
    shim::borrowed_itimer b = std::move(a);
    CHECK_FALSE(a.has_value());
    CHECK(b.has_value());
    CHECK_EQ(of(shim::getitimer(itimer_id::real)->it_value), 0s);
  }
  const auto back = shim::setitimer(itimer_id::real).value();
  CHECK_EQ(of(back.it_interval), 7s);
  CHECK_GT(of(back.it_value), 59min);
}

TEST_CASE_FIXTURE(no_leak, "I7: a forked child's are off") {
  REQUIRE_EQ(error_of(shim::setitimer(itimer_id::real, {{0, 0}, {3600, 0}})), 0);
  CHECK_EQ(in_child([] { return of(shim::getitimer(itimer_id::real)->it_value) == 0s ? 0 : 1; }),
           0);
  CHECK_GT(of(shim::setitimer(itimer_id::real)->it_value), 59min);
}
