// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Memory that does not come from the program's malloc: these functions are called from signal
/// handlers, in which malloc may not be.

#include "kernel.hpp"

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <utility>

namespace preload {

/// Fresh pages, all zero; null if there are none. `shared`: with the children of fork(2).
inline void* map_pages(std::size_t size, bool shared = false) noexcept {
  const long at = raw(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
  return at < 0 && at >= -4095 ? nullptr : reinterpret_cast<void*>(at);
}

/// Objects of one type, taken from pages that are never given back. The caller holds a lock.
template <class T, bool Shared = false>
class pool {
 public:
  /// Null if there is no memory.
  template <class... Arguments>
  T* make(Arguments&&... arguments) noexcept {
    if (free_ == nullptr && !grow()) return nullptr;
    cell* const c = std::exchange(free_, free_->next);
    return ::new (static_cast<void*>(c)) T(std::forward<Arguments>(arguments)...);
  }
  void destroy(T* object) noexcept {
    object->~T();
    free_ = ::new (static_cast<void*>(object)) cell{free_};
  }
  /// Forgets what is free: pages made before fork(2) are the parent's to hand out.
  void forget() noexcept { free_ = nullptr; }

 private:
  struct cell {
    cell* next;
  };
  bool grow() noexcept {
    constexpr std::size_t size = sizeof(T) > sizeof(cell) ? sizeof(T) : sizeof(cell);
    constexpr std::size_t step = (size + 15) / 16 * 16;
    constexpr std::size_t bytes = step * 32 > 16384 ? (step * 32 + 4095) / 4096 * 4096 : 16384;
    auto* const pages = static_cast<std::byte*>(map_pages(bytes, Shared));
    if (pages == nullptr) return false;
    for (std::size_t at = bytes / step; at-- > 0;)
      free_ = ::new (static_cast<void*>(pages + at * step)) cell{free_};
    return true;
  }
  cell* free_ = nullptr;
};

}  // namespace preload
