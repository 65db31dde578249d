// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// One suite for every keeper of time. A rule is a test template over the subjects that obey it: a
/// kind of timer in a world. In real worlds time passes by itself and may pass too fast, so
/// lateness is not judged there; in the virtual one every instant is exact.

#include "support/asio.hpp"

#include <chime/basic_timer.hpp>
#include <chime/engine_options.hpp>
#include <chime/pooled_timerfd.hpp>
#include <chime/user/itimer.hpp>
#include <chime/user/posix_timer.hpp>
#include <chime/user/timerfd.hpp>
#include <chime/virtual_time.hpp>

#if defined(__linux__)
#include <chime/kernel/itimer.hpp>
#include <chime/kernel/posix_timer.hpp>
#include <chime/kernel/timerfd.hpp>
#endif

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

namespace conformance {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::nanoseconds;
using support::outcome;

/// Time is the system's.
struct real_world {
  static constexpr bool is_virtual = false;

  asio::io_context context;

  /// Runs handlers while at least so much time passes.
  void pass(nanoseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      context.restart();
      if (context.run_one_until(end) == 0) std::this_thread::yield();
    }
  }

  /// Runs handlers until `done()`.
  template <class Done>
  void until(Done done) {
    support::run_until(context, done);
  }

  /// The timer is due, after what has passed. The kernel finds that out on the CPU that armed it, which may
  /// stand still while this one goes on.
  template <class Timer>
  void expect_due(Timer& t) {
    support::until_due(t);
  }
};

/// Time passes when a test says so. There is one thread, and the timers have no locks.
struct virtual_world {
  static constexpr bool is_virtual = true;

  virtual_world() { chime::configure_engine(context, {.single_threaded = true}); }

  asio::io_context context;
  chime::virtual_time time{context};

  void pass(nanoseconds d) { time.advance(d); }

  template <class Done>
  void until(Done done) {
    for (int i = 0; i < 100'000 && !done(); ++i) time.advance(100us);
    REQUIRE(done());
  }

  template <class Timer>
  void expect_due(Timer& t) {
    REQUIRE(t.is_ready());
  }
};

/// async_wait with a handler of one type for all waits of a timer: each type is as much again to
/// compile.
template <class Timer>
void begin_wait(Timer& t,
                std::function<void(chime::error_code, typename Timer::expiry_type)> handler) {
  t.async_wait(std::move(handler));
}

/// A kind of timer in a world.
template <class World, class Facility>
struct subject {
  using world = World;
  using clock = typename Facility::clock_type;
  using timer = chime::basic_timer<Facility>;
  using setting = chime::setting<clock>;
};

using chime::boottime_clock;
using chime::itimer_kind;
using chime::monotonic_clock;
using chime::realtime_clock;
using chime::tai_clock;
namespace user = chime::user;

#if defined(__linux__)
#define CHIME_KERNEL_TIMERFDS                                                                \
  conformance::subject<conformance::real_world, chime::kernel::timerfd<monotonic_clock>>,    \
      conformance::subject<conformance::real_world, chime::kernel::timerfd<realtime_clock>>, \
      conformance::subject<conformance::real_world,                                          \
                           chime::pooled_timerfd<monotonic_clock>::facility_type>,
#define CHIME_KERNEL_POSIX_TIMERS                                                             \
  conformance::subject<conformance::real_world, chime::kernel::posix_timer<monotonic_clock>>, \
      conformance::subject<conformance::real_world, chime::kernel::posix_timer<realtime_clock>>,
#define CHIME_KERNEL_REAL_ITIMERS \
  conformance::subject<conformance::real_world, chime::kernel::itimer<itimer_kind::real>>,
#else
#define CHIME_KERNEL_TIMERFDS
#define CHIME_KERNEL_POSIX_TIMERS
#define CHIME_KERNEL_REAL_ITIMERS
#endif

/// The timerfds of every keeper.
#define CHIME_TIMERFDS                                                                 \
  CHIME_KERNEL_TIMERFDS                                                                \
  conformance::subject<conformance::real_world, user::timerfd<monotonic_clock>>,       \
      conformance::subject<conformance::real_world, user::timerfd<realtime_clock>>,    \
      conformance::subject<conformance::virtual_world, user::timerfd<boottime_clock>>, \
      conformance::subject<conformance::virtual_world, user::timerfd<realtime_clock>>

/// The POSIX timers on clocks that run by themselves.
#define CHIME_POSIX_TIMERS                                                            \
  CHIME_KERNEL_POSIX_TIMERS                                                           \
  conformance::subject<conformance::real_world, user::posix_timer<monotonic_clock>>,  \
      conformance::subject<conformance::virtual_world, user::posix_timer<tai_clock>>, \
      conformance::subject<conformance::virtual_world, user::posix_timer<realtime_clock>>

#define CHIME_REAL_ITIMERS                                                        \
  CHIME_KERNEL_REAL_ITIMERS                                                       \
  conformance::subject<conformance::real_world, user::itimer<itimer_kind::real>>, \
      conformance::subject<conformance::virtual_world, user::itimer<itimer_kind::real>>

}  // namespace conformance
