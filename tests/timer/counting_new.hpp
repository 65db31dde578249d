// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <cstdint>

/// How often any thread of this program has called operator new. counting_new.cpp replaces it.
[[nodiscard]] std::uint64_t calls_of_new() noexcept;
