// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include "support/asio.hpp"

#include <chime/basic_timer.hpp>
#include <chime/kernel/posix_timer.hpp>

#include <boost/asio/io_context.hpp>

#include <cstdint>

namespace signals {

using chime::monotonic_clock;
using chime::nanoseconds;
using timer = chime::basic_timer<chime::kernel::posix_timer<monotonic_clock>>;
using setting = chime::setting<monotonic_clock>;

/// A timer that waits again and again, and counts.
struct counting {
  explicit counting(boost::asio::io_context& context) : t{context} {}

  void start(monotonic_clock::time_point at, nanoseconds every) {
    first = at;
    interval = every;
    t.set(setting::at(at, every));
    wait();
  }
  void wait() {
    t.async_wait([this](chime::error_code ec, auto e) {
      if (ec) return;
      is_right = is_right && monotonic_clock::now() >= e.scheduled;
      total += e.expirations;
      is_right = is_right && e.scheduled == first + (total - 1) * interval;
      wait();
    });
  }
  /// Takes the rest; whether all was counted that was due by then (E4).
  bool stop() {
    t.cancel();
    const auto before = monotonic_clock::now();
    const auto by = [&](auto when) {
      return static_cast<std::uint64_t>((when - first) / interval) + 1;
    };
    if (total < by(before)) {
      support::until_due(t);  // its interrupt may be on its way still
      total += t.try_take()->expirations;
    }
    return is_right && total >= by(before) && total <= by(monotonic_clock::now());
  }

  timer t;
  monotonic_clock::time_point first;
  nanoseconds interval{};
  std::uint64_t total = 0;
  bool is_right = true;
};

}  // namespace signals
