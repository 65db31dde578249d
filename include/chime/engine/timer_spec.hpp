// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// What goes into a model and comes out of it: settings, readings, and whether it worked.

#include <cerrno>
#include <chime/rules.hpp>
#include <chime/setting.hpp>

#include <chrono>

namespace chime::engine {

using std::chrono::nanoseconds;

/// Whether a call worked, or its errno.
enum class status : int {
  ok = 0,
  again = EAGAIN,        ///< nothing to take
  invalid = EINVAL,      ///< the arguments are no setting; the earlier one stands (E9)
  canceled = ECANCELED,  ///< the clock was set (F10)
};

/// What a timer is set to. As chime::setting, without the clock's type.
struct new_setting {
  nanoseconds value{};     ///< zero disarms
  nanoseconds interval{};  ///< zero expires once
  reference counted_from = reference::relative;
  chime::on_clock_set on_clock_set = chime::on_clock_set::follow;

  constexpr new_setting() noexcept = default;
  constexpr new_setting(nanoseconds v, nanoseconds i, reference from = reference::relative,
                        chime::on_clock_set step = chime::on_clock_set::follow) noexcept
      : value{v}, interval{i}, counted_from{from}, on_clock_set{step} {}
  template <class Clock>
  explicit constexpr new_setting(const setting<Clock>& s) noexcept
      : new_setting{rules::as_timed(s.value), rules::as_timed(s.interval), s.counted_from,
                    s.on_clock_set} {}

  [[nodiscard]] constexpr bool is_absolute() const noexcept {
    return counted_from == reference::absolute;
  }
};

/// What a timer says of itself: time to the next expiry, always relative, and the interval.
struct timer_spec {
  nanoseconds value{};
  nanoseconds interval{};

  friend constexpr bool operator==(const timer_spec&, const timer_spec&) = default;
};

/// The outcome of setting a timer.
struct set_result {
  status error = status::ok;
  timer_spec old{};  ///< the earlier setting; to be handed out only where `error` is ok (F11, F15)

  friend constexpr bool operator==(const set_result&, const set_result&) = default;
};

/// The time at which a timer is set: on the base it is filed on, and on the base the new setting
/// will be filed on. They differ only where a realtime timer changes between relative and absolute.
struct set_time {
  nanoseconds here{};
  nanoseconds there{};

  constexpr set_time(nanoseconds both) noexcept
      : here{both}, there{both} {}  // NOLINT: one time is the rule
  constexpr set_time(nanoseconds on_base, nanoseconds on_next_base) noexcept
      : here{on_base}, there{on_next_base} {}
};

}  // namespace chime::engine
