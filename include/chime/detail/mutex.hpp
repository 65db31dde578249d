// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <atomic>
#include <mutex>

namespace chime::detail {

#if defined(__linux__)

/// A mutex of one word, for sections that last a system call at most and are hardly ever contended.
///
/// A wait locks once per expiration. Locking and unlocking std::mutex is 55 instructions of a
/// 1,150-instruction expiration (glibc 2.36), this is 8. Lockable, not recursive.
class mutex {
 public:
  void lock() noexcept {
    int expected = free;
    if (!state_.compare_exchange_strong(expected, held, std::memory_order_acquire)) [[unlikely]]
      wait();
  }

  void unlock() noexcept {
    if (state_.exchange(free, std::memory_order_release) == contended) [[unlikely]]
      state_.notify_one();
  }

 private:
  enum : int { free, held, contended };

  // Whoever has waited cannot know whether others still do, so it holds the mutex as contended.
  [[gnu::noinline, gnu::cold]] void wait() noexcept {
    while (state_.exchange(contended, std::memory_order_acquire) != free) state_.wait(contended);
  }

  std::atomic<int> state_ = free;
};

#else

/// Elsewhere the standard library's: std::atomic's wait is no better there, and with g++ 12 on Windows
/// it has been seen to sleep on.
using mutex = std::mutex;

#endif

/// One that does nothing where only one thread is there.
class optional_mutex {
 public:
  void lock() noexcept {
    if (is_needed) mutex_.lock();
  }
  void unlock() noexcept {
    if (is_needed) mutex_.unlock();
  }

  bool is_needed = true;  ///< not to be changed once it is used

 private:
  mutex mutex_;
};

}  // namespace chime::detail
