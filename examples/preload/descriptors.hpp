// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Which of the program's descriptors are timers of ours, or signalfds, whose reads we look at.

#include "kernel.hpp"

namespace preload {

struct timerfd;

namespace descriptors {

/// What a descriptor is; nothing for all that are none of ours. Without a lock, and one load for
/// those: it is asked at each read of the program.
struct meaning {
  timerfd* timer = nullptr;
  bool is_signalfd = false;
};
[[nodiscard]] meaning find(int fd) noexcept;
/// Whether there has ever been one.
[[nodiscard]] bool any() noexcept;

// With the lock held.

void set_timer(int fd, timerfd& timer) noexcept;
void set_signalfd(int fd) noexcept;
void forget(int fd) noexcept;
/// Some descriptor of the timer; -1 if there is none.
[[nodiscard]] int of(const timerfd& timer) noexcept;

}  // namespace descriptors
}  // namespace preload
