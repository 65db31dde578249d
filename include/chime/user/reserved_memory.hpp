// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <boost/asio/recycling_allocator.hpp>

#include <atomic>
#include <cstddef>

namespace chime::user {

/// Memory for an operation that is begun again and again, one at a time. Asio keeps two pieces of
/// memory a thread at hand for all operations together: the engine's own are not to crowd out those
/// of the program.
///
/// Thread-safe. What is in use when this is destroyed is given back by its last user.
class reserved_memory {
  class block {
   public:
    static constexpr std::size_t bytes = 192;  // Asio's operations take 100 to 150

    /// Null if it is in use.
    [[nodiscard]] void* take() noexcept {
      return (state_.fetch_or(used, std::memory_order_acquire) & used) == 0 ? storage_ : nullptr;
    }
    /// False if that is none of its own.
    [[nodiscard]] bool give_back(const void* place) noexcept {
      if (place != storage_) return false;
      drop(used);
      return true;
    }
    void disown() noexcept { drop(owned); }

   private:
    static constexpr unsigned owned = 1, used = 2;

    void drop(unsigned hold) noexcept {
      if (state_.fetch_and(~hold, std::memory_order_acq_rel) == hold) delete this;
    }

    std::atomic<unsigned> state_ = owned;
    alignas(std::max_align_t) std::byte storage_[bytes];
  };

 public:
  reserved_memory() : block_{new block} {}
  reserved_memory(const reserved_memory&) = delete;
  reserved_memory& operator=(const reserved_memory&) = delete;
  ~reserved_memory() { block_->disown(); }

  /// What does not fit, or comes while it is in use, has memory as any operation of Asio's.
  template <class T>
  class allocator {
   public:
    using value_type = T;

    explicit allocator(block* b) noexcept : block_{b} {}
    template <class U>
    allocator(const allocator<U>& other) noexcept : block_{other.block_} {}

    [[nodiscard]] T* allocate(std::size_t n) {
      if constexpr (sizeof(T) <= block::bytes && alignof(T) <= alignof(std::max_align_t))
        if (n == 1)
          if (void* const place = block_->take()) return static_cast<T*>(place);
      return boost::asio::recycling_allocator<T>{}.allocate(n);
    }
    void deallocate(T* place, std::size_t n) noexcept {
      if (!block_->give_back(place)) boost::asio::recycling_allocator<T>{}.deallocate(place, n);
    }

    template <class U>
    bool operator==(const allocator<U>& other) const noexcept {
      return block_ == other.block_;
    }

   private:
    template <class>
    friend class allocator;

    block* block_;
  };

  [[nodiscard]] allocator<std::byte> get_allocator() const noexcept {
    return allocator<std::byte>{block_};
  }

 private:
  block* block_;
};

}  // namespace chime::user
