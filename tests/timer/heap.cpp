// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "heap.hpp"

#include <doctest/doctest.h>

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace {

std::atomic<std::uint64_t> calls = 0;
thread_local bool is_empty = false;

void* counted(std::size_t size) noexcept {
  calls.fetch_add(1, std::memory_order_relaxed);
  if (is_empty) return nullptr;
  return std::malloc(size == 0 ? 1 : size);
}

void* counted(std::size_t size, std::align_val_t alignment) noexcept {
  calls.fetch_add(1, std::memory_order_relaxed);
  if (is_empty) return nullptr;
  return ::memalign(static_cast<std::size_t>(alignment), size);
}

}  // namespace

no_memory::no_memory() noexcept { is_empty = true; }
no_memory::~no_memory() { is_empty = false; }

std::uint64_t heap_allocations() noexcept { return calls.load(std::memory_order_relaxed); }

// Asio's own memory comes from here, past operator new.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return counted(size, std::align_val_t{alignment});
}

void* operator new(std::size_t size) {
  if (void* const memory = counted(size)) return memory;
  throw std::bad_alloc{};
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  if (void* const memory = counted(size, alignment)) return memory;
  throw std::bad_alloc{};
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted(size, alignment);
}
void* operator new[](std::size_t size) { return ::operator new(size); }
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return ::operator new(size, alignment);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

TEST_CASE("allocations are counted") {
  struct alignas(128) wide {
    char bytes[128];
  };
  const auto before = heap_allocations();
  auto* volatile one = new int;
  delete one;
  auto* volatile many = new int[3];
  delete[] many;
  auto* volatile aligned = new wide;
  delete aligned;
  (void)std::make_shared<int>(1);
  void* volatile plain = std::aligned_alloc(16, 32);
  std::free(plain);
  CHECK(heap_allocations() - before == 5);
}
