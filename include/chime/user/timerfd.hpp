// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/engine/timerfd_model.hpp>
#include <chime/user/alarm.hpp>
#include <chime/user/kept.hpp>

namespace chime::user {

template <class Clock>
struct timerfd_kind {
  using clock_type = Clock;
  using model_type = engine::timerfd_model;

  struct permit {
    permit(service& host, error_code& ec) {
      switch (Clock::kind) {
        case clock_kind::realtime:
        case clock_kind::monotonic:
        case clock_kind::boottime: ec = {}; break;
        case clock_kind::realtime_alarm:
        case clock_kind::boottime_alarm:
          ec = host.virtual_clocks() ? error_code{} : may_wake_machine();
          break;
        default: ec = error::invalid_argument();  // C5
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
    const engine::timerfd_read got = m.read(now);
    return {got.error, got.count, got.scheduled};
  }
  static bool is_ready(const model_type& m) noexcept { return m.readable(); }

  static bool wants_clock(const setting<Clock>& s) noexcept {
    return (Clock::kind == clock_kind::realtime || Clock::kind == clock_kind::realtime_alarm) &&
           s.is_absolute() && s.on_clock_set == on_clock_set::cancel;
  }
  static bool clock_was_set(model_type& m) noexcept { return m.clock_was_set(); }
  static bool survives_fork(model_type&) noexcept { return true; }  // F9, but no longer shared
};

/// A timerfd kept by the engine: rules F, without a descriptor.
///
/// \tparam Clock realtime_clock, monotonic_clock, boottime_clock, or with the privilege for it
///         (CAP_WAKE_ALARM, else EPERM) realtime_alarm_clock or boottime_alarm_clock, which keep
///         time like the others: the engine does not wake the machine. Any other fails to open with
///         EINVAL.
template <class Clock>
using timerfd = kept<timerfd_kind<Clock>>;

}  // namespace chime::user
