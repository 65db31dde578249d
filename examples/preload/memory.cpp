// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "memory.hpp"

#include <algorithm>
#include <cstdlib>

// The engine's few allocations: a time line for each base, and wider slots for a wheel of thousands
// of timers. They last as long as the process. exports.map keeps these operators in here.

namespace {

std::byte* next_free = nullptr;
std::size_t left = 0;

// Called with the process's lock held, so one at a time.
void* bump(std::size_t size) noexcept {
  size = (size + 63) / 64 * 64;
  if (size > left) {
    const std::size_t chunk = std::max<std::size_t>((size + 4095) / 4096 * 4096, 1 << 18);
    auto* const pages = static_cast<std::byte*>(preload::map_pages(chunk));
    if (pages == nullptr) return nullptr;
    next_free = pages;
    left = chunk;
  }
  left -= size;
  return std::exchange(next_free, next_free + size);
}

}  // namespace

void* operator new(std::size_t size) {
  if (void* const found = bump(size)) return found;
  std::abort();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return bump(size); }
void* operator new(std::size_t size, std::align_val_t) { return operator new(size); }
void* operator new(std::size_t size, std::align_val_t, const std::nothrow_t&) noexcept {
  return bump(size);
}
void operator delete(void*) noexcept {}
void operator delete(void*, std::size_t) noexcept {}
void operator delete(void*, const std::nothrow_t&) noexcept {}
void operator delete(void*, std::align_val_t) noexcept {}
void operator delete(void*, std::size_t, std::align_val_t) noexcept {}
