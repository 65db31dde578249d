// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// In a sandbox that refuses timerfd_create and timer_create the default timers go on, on the engine.
#include "refused/no_timers.hpp"
#include "support/asio.hpp"

#include <chime/kernel/posix_timer.hpp>
#include <chime/kernel/timerfd.hpp>
#include <chime/posix_timer.hpp>
#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>

#include <cerrno>
#include <chrono>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::monotonic_clock;

template <class Timer>
void check_goes_on() {
  asio::io_context context;
  Timer t{context};
  CHECK_EQ(t.native_handle(), -1);
  const auto start = monotonic_clock::now();
  t.expires_every(1ms);
  std::uint64_t total = 0;
  for (int i = 0; i < 10; ++i) {
    support::outcome<monotonic_clock> seen;
    t.async_wait(seen.handler());
    support::run_until(context, [&] { return seen.calls == 1; });
    CHECK_FALSE(seen.error);
    total += seen.expiry.expirations;
    CHECK_GE(seen.expiry.scheduled - start, 1ms * total);
  }
}

template <class Facility>
int error_of() {
  asio::io_context context;
  chime::error_code ec;
  chime::basic_timer<Facility> t{context, ec};
  return ec.value();
}

}  // namespace

TEST_CASE_FIXTURE(refused::no_timers, "the kernel's own say what it says") {
  CHECK_EQ(error_of<chime::kernel::timerfd<monotonic_clock>>(), EPERM);
  CHECK_EQ(error_of<chime::kernel::posix_timer<monotonic_clock>>(), EPERM);
}

TEST_CASE_FIXTURE(refused::no_timers, "the default timerfd goes on") {
  check_goes_on<chime::timerfd<monotonic_clock>>();
}

TEST_CASE_FIXTURE(refused::no_timers, "the default POSIX timer goes on") {
  check_goes_on<chime::posix_timer<monotonic_clock>>();
}

TEST_CASE_FIXTURE(refused::no_timers, "and so does one of CPU time") {
  asio::io_context context;
  chime::posix_timer<chime::process_cpu_clock> t{context};
  const auto start = chime::process_cpu_clock::now();
  t.expires_after(20ms);
  while (!t.is_ready() && chime::process_cpu_clock::now() - start < support::slack) continue;
  CHECK_GE(chime::process_cpu_clock::now() - start, 20ms);
  CHECK_EQ(t.try_take()->expirations, 1);
}
