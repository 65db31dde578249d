// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/duration.hpp>
#include <chime/shim/clock.hpp>
#include <chime/shim/timerfd.hpp>

#include <support/slack.hpp>

#include <doctest/doctest.h>

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstdint>

/// What the tests of the timerfd shim have in common. They call the shim and look at what the kernel answers.
namespace support {

namespace shim = chime::shim;
using namespace std::chrono_literals;
using chime::nanoseconds;
using shim::clock_id;
using shim::timerfd_flags;
using shim::timerfd_set_flags;

inline constexpr auto abstime = timerfd_set_flags::abstime;
inline constexpr auto relative = timerfd_set_flags::none;
inline constexpr auto abstime_cancel_on_set = abstime | timerfd_set_flags::cancel_on_set;

/// errno of a call that failed, 0 of one that did not.
template <class T>
int error_of(const shim::result<T>& answer) {
  if (!answer) CHECK_EQ(answer.error().category(), boost::system::system_category());
  return answer ? 0 : answer.error().value();
}
/// The same of a system call made without the shim.
inline int error_of(long status) { return status == -1 ? errno : 0; }

inline shim::descriptor make_timer(clock_id clock = clock_id::monotonic,
                                   timerfd_flags flags = timerfd_flags::nonblock) {
  auto timer = shim::timerfd_create(clock, flags | timerfd_flags::cloexec);
  REQUIRE_EQ(error_of(timer), 0);
  return *std::move(timer);
}

constexpr shim::itimerspec spec(nanoseconds value, nanoseconds interval = {}) {
  return {chime::to_timespec<shim::timespec>(interval), chime::to_timespec<shim::timespec>(value)};
}

struct times {
  nanoseconds value;
  nanoseconds interval;
  friend bool operator==(const times&, const times&) = default;
};
inline times times_of(const shim::itimerspec& t) {
  const auto exact = [](const shim::timespec& s) {
    return nanoseconds{s.tv_sec * 1'000'000'000 + s.tv_nsec};
  };
  return {exact(t.it_value), exact(t.it_interval)};
}

/// Sets a timer, which must succeed, and returns its old setting.
inline times arm(const shim::descriptor& timer, timerfd_set_flags flags, nanoseconds value,
                 nanoseconds interval = {}) {
  const auto old = shim::timerfd_settime(timer.get(), flags, spec(value, interval));
  REQUIRE_EQ(error_of(old), 0);
  return times_of(*old);
}

inline times get(const shim::descriptor& timer) {
  const auto now = shim::timerfd_gettime(timer.get());
  REQUIRE_EQ(error_of(now), 0);
  return times_of(*now);
}

/// Reads the expirations; throws where that fails.
inline std::uint64_t take(const shim::descriptor& timer) {
  return shim::timerfd_read(timer.get()).value();
}

inline nanoseconds now(clock_id clock = clock_id::monotonic) {
  const auto t = shim::clock_gettime(clock).value();
  return nanoseconds{t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

inline bool readable_within(int fd, std::chrono::milliseconds timeout) {
  ::pollfd in{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&in, 1, static_cast<int>(timeout.count())) == 1;
}
inline bool readable_now(const shim::descriptor& d) { return readable_within(d.get(), 0ms); }

/// For what must come.
inline bool becomes_readable(const shim::descriptor& d, nanoseconds later = {}) {
  return readable_within(d.get(), slack + std::chrono::ceil<std::chrono::milliseconds>(later));
}

/// A one-shot timer that has expired, and whose count of 1 is yet to be read.
inline shim::descriptor expired_timer(clock_id clock = clock_id::monotonic) {
  auto timer = make_timer(clock);
  arm(timer, abstime, 1ns);
  REQUIRE(becomes_readable(timer));
  return timer;
}

inline constexpr times far_off{1h, 7s};

/// A timer that stands at far_off, and expires in no test.
inline shim::descriptor far_off_timer(clock_id clock = clock_id::monotonic) {
  auto timer = make_timer(clock);
  arm(timer, relative, far_off.value, far_off.interval);
  return timer;
}

/// Whether it still does: the same deadline, the same interval, nothing expired.
inline bool is_far_off(const shim::descriptor& timer) {
  const times t = get(timer);
  return t.value <= far_off.value && t.value > far_off.value - 10min &&
         t.interval == far_off.interval && !readable_now(timer);
}

}  // namespace support
