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

/// A lock among processes, in memory that they share. Its word is that of a PI futex (futex(2)), so the kernel hands it
/// on where its owner is killed. A mutex of libc's would need the thread to be libc's.
class shared_lock {
 public:
  void acquire() noexcept {
    const auto self = static_cast<std::uint32_t>(raw(SYS_gettid));
    for (;;) {
      std::uint32_t seen = 0;
      if (word_.compare_exchange_strong(seen, self, std::memory_order_acquire)) return;
      const long error = raw(SYS_futex, &word_, FUTEX_LOCK_PI, 0, nullptr);
      if (error == 0) {
        word_.fetch_and(~std::uint32_t{FUTEX_OWNER_DIED}, std::memory_order_acquire);
        return;
      }
      // The owner was killed while nobody waited.
      if (error == -ESRCH && word_.compare_exchange_strong(seen, self, std::memory_order_acquire))
        return;
    }
  }
  void release() noexcept {
    auto self = static_cast<std::uint32_t>(raw(SYS_gettid));
    if (!word_.compare_exchange_strong(self, 0, std::memory_order_release))
      raw(SYS_futex, &word_, FUTEX_UNLOCK_PI);
  }

 private:
  std::atomic<std::uint32_t> word_ = 0;  // the owner's thread
};

}  // namespace preload
