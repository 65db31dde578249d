// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The wheel against its oracle, steered by libFuzzer.

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "../engine/wheel_oracle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const chime::tests::wheel_run_result result = chime::tests::run_wheel({data, size});
  if (!result.fault.empty()) {
    std::fprintf(stderr, "%s\n", result.fault.c_str());
    std::abort();
  }
  return 0;
}
