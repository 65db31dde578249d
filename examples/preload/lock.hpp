// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include "kernel.hpp"

#include <linux/futex.h>
#include <atomic>

namespace preload {

/// A lock on a futex, for use where pthread_mutex_lock may not be: before constructors have run, and
/// in the child of a fork that no handler saw. Whoever holds it has all signals blocked.
class lock {
 public:
  void acquire() noexcept {
    std::uint32_t seen = 0;
    if (word_.compare_exchange_strong(seen, 1, std::memory_order_acquire)) return;
    while (word_.exchange(2, std::memory_order_acquire) != 0)
      raw(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 2, nullptr);
  }
  void release() noexcept {
    if (word_.exchange(0, std::memory_order_release) == 2)
      raw(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1);
  }
  void reset() noexcept { word_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> word_ = 0;  // 1: taken, 2: and somebody may be waiting
};

}  // namespace preload
