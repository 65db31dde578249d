// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/engine/posix_timer_model.hpp>
#include <chime/user/kept.hpp>

#include <cerrno>

namespace chime::user {

template <class Clock>
struct posix_timer_kind {
  using clock_type = Clock;
  using model_type = engine::posix_timer_model;

  struct permit {
    permit(service& host, error_code& ec) {
      switch (Clock::kind) {
        case clock_kind::realtime_alarm:
        case clock_kind::boottime_alarm:
          // C4: as where no RTC could wake the machine. The engine cannot.
          ec = host.virtual_clocks() ? error_code{} : error::from_errno(EOPNOTSUPP);
          break;
        case clock_kind::user_cpu: ec = error::invalid_argument(); break;
        default: ec = {};
      }
    }
  };

  static model_type make() noexcept { return model_type{Clock::kind}; }
  static engine::base line_for(reference from) noexcept {
    return engine::base_of(Clock::kind, from);
  }

  static engine::set_result set(model_type& m, const engine::new_setting& wanted,
                                engine::set_time now) noexcept {
    return m.settime(wanted, now);
  }
  static taken take(model_type& m, nanoseconds now) noexcept {
    if (!m.pending()) return {engine::status::again};
    const engine::acceptance got = m.accept(now, m.sequence());
    return {engine::status::ok, got.expirations, got.scheduled};
  }
  static bool is_ready(const model_type& m) noexcept { return m.pending(); }

  static bool wants_clock(const setting<Clock>&) noexcept { return false; }
  static bool clock_was_set(model_type&) noexcept { return false; }
  static bool survives_fork(model_type&) noexcept { return false; }  // P10
};

/// A POSIX per-process timer kept by the engine: rules P. Its notification is the wait's
/// completion, accepted when the expirations are taken.
///
/// \tparam Clock realtime_clock, monotonic_clock, boottime_clock, tai_clock, process_cpu_clock or
///         thread_cpu_clock: the CPU time of the thread that opens it or is named. The alarm clocks fail to
///         open with EOPNOTSUPP, as where there is no RTC; any other with EINVAL. After a fork the
///         child's fails with EINVAL.
template <class Clock>
using posix_timer = kept<posix_timer_kind<Clock>>;

}  // namespace chime::user
