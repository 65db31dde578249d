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
  /// False if it is not to be had within that time.
  [[nodiscard]] bool acquire_within(const ::timespec& time) noexcept {
    std::uint32_t seen = 0;
    if (word_.compare_exchange_strong(seen, 1, std::memory_order_acquire)) return true;
    while (word_.exchange(2, std::memory_order_acquire) != 0)
      if (raw(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 2, &time) == -ETIMEDOUT) return false;
    return true;
  }
  void release() noexcept {
    if (word_.exchange(0, std::memory_order_release) == 2)
      raw(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1);
  }
  void reset() noexcept { word_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> word_ = 0;  // 1: taken, 2: and somebody may be waiting
};

/// A lock among processes, in memory that they share: robust as a mutex of libc's (PTHREAD_MUTEX_ROBUST, and
/// get_robust_list(2)), which the engine's thread could not take. Where the owner is killed, the next one has it. A thread
/// holds one at a time, and takes none of libc's meanwhile.
class shared_lock {
 public:
  /// What release() is to be given.
  [[nodiscard]] ::robust_list* acquire() noexcept {
    ::robust_list* const before = announce([this](std::ptrdiff_t offset) {
      return reinterpret_cast<::robust_list*>(reinterpret_cast<std::byte*>(&word_) - offset);
    });
    const auto self = static_cast<std::uint32_t>(raw(SYS_gettid));
    std::uint32_t waiters = 0;
    for (;;) {
      std::uint32_t seen = word_.load(std::memory_order_relaxed);
      if (seen == 0 || (seen & FUTEX_OWNER_DIED) != 0) {
        waiters |= seen & FUTEX_WAITERS;
        if (word_.compare_exchange_weak(seen, self | waiters, std::memory_order_acquire))
          return before;
        continue;
      }
      if ((seen & FUTEX_WAITERS) == 0 && !word_.compare_exchange_weak(seen, seen | FUTEX_WAITERS))
        continue;
      raw(SYS_futex, &word_, FUTEX_WAIT, seen | FUTEX_WAITERS, nullptr);
      waiters = FUTEX_WAITERS;  // perhaps there are others
    }
  }
  void release(::robust_list* before) noexcept {
    if ((word_.exchange(0, std::memory_order_release) & FUTEX_WAITERS) != 0)
      raw(SYS_futex, &word_, FUTEX_WAKE, 1);
    announce([before](std::ptrdiff_t) { return before; });
  }

 private:
  /// The kernel looks at what a thread that ends was about to take or give back, as well as at its list. (A mutex of the
  /// program's may be that, too, where a handler comes in between.) \return what stood there
  template <class What>
  static ::robust_list* announce(What what) noexcept {
    ::robust_list_head* list = nullptr;
    std::size_t size = 0;
    if (raw(SYS_get_robust_list, 0, &list, &size) != 0 || list == nullptr) return nullptr;
    return std::atomic_ref{list->list_op_pending}.exchange(what(list->futex_offset));
  }

  std::atomic<std::uint32_t> word_ = 0;  // the owner's thread, by its own name of it, and bits
};

}  // namespace preload
