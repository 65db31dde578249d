// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The symbols that this library puts before the C library's, and the way to those.

#include <dlfcn.h>

/// Defines the function `symbol` for the program. The C library's headers, with their own idea of
/// its name and type, are kept out of it; so is a version: programs bind to different ones.
/// NOLINTBEGIN: there is no other way to name a symbol
#define PRELOAD_EXPORT(result, symbol, ...)                                                        \
  extern "C" [[gnu::visibility("default")]] result preload_##symbol(__VA_ARGS__) __asm__(#symbol); \
  static void* preload_next_##symbol = nullptr;                                                    \
  [[gnu::constructor(101)]] static void preload_find_##symbol() {                                  \
    if (preload_next_##symbol == nullptr) preload_next_##symbol = ::dlsym(RTLD_NEXT, #symbol);     \
  }                                                                                                \
  extern "C" result preload_##symbol(__VA_ARGS__)

/// The function `symbol` that the program would have without us. Found when the library is loaded,
/// as dlsym may not be called from a signal handler.
#define PRELOAD_NEXT(symbol) \
  (preload_find_##symbol(), reinterpret_cast<decltype(&preload_##symbol)>(preload_next_##symbol))
// NOLINTEND
