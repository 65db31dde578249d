// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

namespace example {

using std::chrono::nanoseconds;

/// How late waits were: collects samples, answers with quantiles.
class lateness {
 public:
  void add(nanoseconds late) { samples_.push_back(late); }
  [[nodiscard]] bool empty() const { return samples_.empty(); }

  /// The sample that a share `q` of all samples does not exceed; zero without samples.
  [[nodiscard]] nanoseconds quantile(double q) {
    if (samples_.empty()) return {};
    const auto rank = static_cast<std::size_t>(q * static_cast<double>(samples_.size() - 1));
    const auto nth = samples_.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(samples_.begin(), nth, samples_.end());
    return *nth;
  }
  [[nodiscard]] nanoseconds min() { return quantile(0); }
  [[nodiscard]] nanoseconds max() { return quantile(1); }

 private:
  std::vector<nanoseconds> samples_;
};

/// A duration in three significant digits and a unit that suits it: "23.4 us", "150 ms".
inline std::string human(nanoseconds d) {
  double amount = static_cast<double>(d.count());
  const char* const units[] = {"ns", "us", "ms", "s"};
  const char* const* unit = units;
  for (; amount >= 999.5 && unit != std::end(units) - 1; ++unit) amount /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, "%.3g %s", amount, *unit);
  return text;
}

}  // namespace example
