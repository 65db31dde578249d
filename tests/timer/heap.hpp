// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <cstdint>

/// How often any thread of this program has called operator new or aligned_alloc (from which Asio takes the
/// memory that it recycles). heap.cpp replaces both.
[[nodiscard]] std::uint64_t heap_allocations() noexcept;

/// While one exists, this thread gets no memory from either.
class no_memory {
 public:
  no_memory() noexcept;
  ~no_memory();
  no_memory(const no_memory&) = delete;
  no_memory& operator=(const no_memory&) = delete;
};
