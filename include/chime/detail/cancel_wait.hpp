// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/timer_state.hpp>

#include <boost/asio/cancellation_type.hpp>

#include <memory>

namespace chime::detail {

/// Stands in the cancellation slot of a wait. Names the wait by its ticket, so it may outlive it.
template <class Facility>
class cancel_wait {
 public:
  cancel_wait(std::weak_ptr<timer_state<Facility>> state, ticket number) noexcept
      : state_{std::move(state)}, number_{number} {}

  /// Every type of cancellation is met: a cancelled wait has had no effect at all.
  void operator()(boost::asio::cancellation_type type) const {
    if (type == boost::asio::cancellation_type::none) return;
    if (const auto state = state_.lock()) state->cancel(number_);
  }

 private:
  std::weak_ptr<timer_state<Facility>> state_;
  ticket number_;
};

}  // namespace chime::detail
