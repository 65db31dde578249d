// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace chime::bench {

/// Collects the medians of benchmarks named <workload>/<peer>/<n>, and prints the ratios after the
/// table: of the times, and of each counter as <workload>.<counter>.
class ratio_reporter : public benchmark::ConsoleReporter {
 public:
  ratio_reporter() : ConsoleReporter{OO_Tabular} {}

  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name != "median") continue;
      if (run.run_type != Run::RT_Aggregate && run.repetitions > 1) continue;
      if (run.error_occurred) continue;
      const std::string name = run.run_name.function_name;
      const auto a = name.find('/');
      const auto b = name.find('/', a + 1);
      const std::string workload = name.substr(0, a);
      const std::string peer = name.substr(a + 1, b - a - 1);
      const std::size_t n = std::strtoul(name.c_str() + b + 1, nullptr, 10);
      medians_[{workload, n}][peer] = run.GetAdjustedRealTime();
      for (const auto& [counter, value] : run.counters)
        medians_[{workload + "." + counter, n}][peer] = value;
    }
  }

  void Finalize() override {
    for (const auto& [key, peers] : medians_) {
      const auto mine = peers.find("chime");
      if (mine == peers.end()) continue;
      for (const auto& [peer, value] : peers) {
        if (peer == "chime") continue;
        std::printf("ratio %-20s n=%zu chime=%.4g %s=%.4g x=%.2f\n", key.first.c_str(), key.second,
                    mine->second, peer.c_str(), value,
                    mine->second != 0 ? value / mine->second
                    : value == 0      ? 1.0
                                      : 999.0);
      }
    }
  }

 private:
  std::map<std::pair<std::string, std::size_t>, std::map<std::string, double>> medians_;
};

}  // namespace chime::bench
