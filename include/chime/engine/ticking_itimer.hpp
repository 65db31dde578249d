// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/engine/base.hpp>
#include <chime/engine/cpu_look.hpp>
#include <chime/engine/itimer_model.hpp>
#include <chime/engine/timer_spec.hpp>
#include <chime/rules.hpp>

#include <algorithm>

namespace chime::engine {

/// A CPU timer's model, and when it is looked at: once a tick, and each time it expires at most once
/// (I5).
class ticking_itimer {
 public:
  explicit ticking_itimer(base cpu) noexcept : model_{cpu, cpu_look::tick} {}

  set_result settime(const timer_spec& next, nanoseconds now) noexcept {
    not_before_ = nanoseconds::min();
    return model_.settime(next, now);
  }
  timer_spec gettime(nanoseconds now) const noexcept { return model_.gettime(now); }
  /// One look.
  bool look(nanoseconds now) noexcept {
    not_before_ = rules::saturating_add(now, cpu_look::tick);
    return model_.expire(now);
  }
  /// All looks that there would have been by now, if nobody has looked for long. \return whether it
  /// has expired
  bool expire(nanoseconds now) noexcept {
    bool has_expired = false;
    while (rules::is_due(next_deadline(), now)) has_expired = look(next_deadline()) || has_expired;
    return has_expired;
  }
  bool pending() const noexcept { return model_.pending(); }
  itimer_acceptance accept(nanoseconds now) noexcept { return model_.accept(now); }
  void ignored() noexcept { model_.ignored(); }
  base filed_on() const noexcept { return model_.filed_on(); }
  nanoseconds next_deadline() const noexcept {
    return std::max(model_.next_deadline(), not_before_);
  }

 private:
  cpu_itimer_model model_;
  nanoseconds not_before_ = nanoseconds::min();
};

}  // namespace chime::engine
