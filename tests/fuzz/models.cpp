// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// libFuzzer target over the timer models and their naive oracles:
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Itests tests/fuzz/models.cpp

#include <cstdio>
#include <cstdlib>
#include <engine/model_oracles.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest{data + 1, size - 1};
  std::string difference;
  switch (data[0] % 3) {
    case 0: difference = oracle::run_timerfd(rest); break;
    case 1: difference = oracle::run_posix(rest); break;
    default: difference = oracle::run_itimer(rest); break;
  }
  if (!difference.empty()) {
    std::fprintf(stderr, "%s\n", difference.c_str());
    std::abort();
  }
  return 0;
}
