// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The wheel and its peers on the same workloads in one process. Beside Google Benchmark's table it
// prints, from the medians of the repetitions,
//     ratio <workload> n=<N> chime=<ns> <peer>=<ns> x=<peer/chime>
// Choose with --benchmark_filter=<workload>/<peer>/<n>; n from CHIME_BENCH_N (default "1000 100000
// 1000000").

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "wheel_peers.hpp"

namespace chime::bench {
namespace {

constexpr int64_t second = 1'000'000'000;
constexpr int64_t horizon = 10 * second;  // deadlines lie uniformly within it

/// xorshift64*: cheap enough not to be what is measured.
class random_numbers {
 public:
  explicit random_numbers(std::uint64_t seed) : state_{seed * 88172645463325252U + 1} {}
  std::uint64_t operator()() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 2685821657736338717U;
  }
  int64_t below(int64_t limit) { return static_cast<int64_t>((*this)() >> 1) % limit; }

 private:
  std::uint64_t state_;
};

std::vector<std::uint32_t> shuffled(size_t n, random_numbers& random) {
  std::vector<std::uint32_t> order(n);
  for (size_t i = 0; i != n; ++i) order[i] = static_cast<std::uint32_t>(i);
  for (size_t i = n; i > 1; --i)
    std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  return order;
}

/// A queue with n timers armed, somewhere in the life of a clock.
template <typename Queue>
struct setting {
  setting(size_t count, std::uint64_t seed) : n{count}, random{seed}, queue{count} {}

  void arm_all() {
    for (size_t i = 0; i != n; ++i) queue.arm(i, start + random.below(horizon));
  }
  /// Runs as many expiries as there are timers, each armed again at once.
  template <typename Step>
  void hold(Step step) {
    const int64_t tick = std::max<int64_t>(1, horizon / 2 / static_cast<int64_t>(n));
    for (size_t done = 0; done < n; now += tick) {
      step([&] {
        queue.expire(now, [&](size_t i) {
          queue.arm(i, now + random.below(horizon));
          ++done;
        });
      });
    }
  }

  static constexpr int64_t start = 1'000'000 * second;
  size_t n;
  random_numbers random;
  Queue queue;
  int64_t now = start;
};

template <typename Function>
double seconds_of(Function f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct schedule {
  static constexpr const char* name = "schedule";
  template <typename Queue>
  static double run(setting<Queue>& s) {
    return seconds_of([&] { s.arm_all(); });
  }
};

struct rearm {
  static constexpr const char* name = "rearm";
  template <typename Queue>
  static double run(setting<Queue>& s) {
    s.arm_all();
    const auto order = shuffled(s.n, s.random);
    return seconds_of([&] {
      for (const size_t i : order) s.queue.rearm(i, s.start + s.random.below(horizon));
    });
  }
};

struct cancel {
  static constexpr const char* name = "cancel";
  template <typename Queue>
  static double run(setting<Queue>& s) {
    s.arm_all();
    const auto order = shuffled(s.n, s.random);
    return seconds_of([&] {
      for (const size_t i : order) s.queue.cancel(i);
      // A queue that only marks what is cancelled has to find it yet.
      s.queue.expire(s.start + horizon, [](size_t) { std::abort(); });
    });
  }
};

struct expire {
  static constexpr const char* name = "expire";
  template <typename Queue>
  static double run(setting<Queue>& s) {
    s.arm_all();
    size_t done = 0;
    const double t =
        seconds_of([&] { s.queue.expire(s.start + horizon, [&](size_t) { ++done; }); });
    if (done != s.n) std::abort();
    return t;
  }
};

struct hold {
  static constexpr const char* name = "hold";
  template <typename Queue>
  static double run(setting<Queue>& s) {
    s.arm_all();
    s.hold([](auto step) { step(); });  // to a steady state
    return seconds_of([&] { s.hold([](auto step) { step(); }); });
  }
};

struct extend {
  static constexpr const char* name = "extend";
  template <typename Queue>
  static double run(setting<Queue>& s) {
    s.arm_all();
    const auto order = shuffled(s.n, s.random);
    return seconds_of([&] {
      for (const size_t i : order) s.queue.rearm(i, s.start + horizon + s.random.below(second));
    });
  }
};

/// The network server: every timeout put off eight times, then the time of them all passes.
struct timeouts {
  static constexpr const char* name = "timeouts";
  template <typename Queue>
  static double run(setting<Queue>& s) {
    s.arm_all();
    const auto order = shuffled(s.n, s.random);
    const int64_t step = second / static_cast<int64_t>(s.n);
    return seconds_of([&] {
             for (int round = 0; round != 8; ++round) {
               for (const size_t i : order) s.queue.rearm(i, (s.now += step) + horizon);
               s.queue.expire(s.now, [](size_t) {});
             }
             s.queue.expire(s.now + horizon, [](size_t) {});
           }) /
           9;
  }
};

/// The longest single step, in CPU time: of a hold from a fresh start and through a steady state.
struct stall {
  static constexpr const char* name = "stall";
  template <typename Queue>
  static double run(setting<Queue>& s) {
    s.arm_all();
    double longest = 0;
    const auto watch = [&](auto step) {
      const double begin = cpu_seconds();
      step();
      longest = std::max(longest, cpu_seconds() - begin);
    };
    for (int i = 0; i != 2; ++i) s.hold(watch);
    return longest * static_cast<double>(s.n);  // reported per operation: so as to read in ns
  }
  static double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  }
};

/// Collects the medians, and prints the ratios after the table.
class ratio_reporter : public benchmark::ConsoleReporter {
 public:
  ratio_reporter() : ConsoleReporter{OO_Tabular} {}

  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name != "median") continue;
      if (run.run_type != Run::RT_Aggregate && run.repetitions > 1) continue;
      std::string name = run.run_name.function_name;
      const auto a = name.find('/');
      const auto b = name.find('/', a + 1);
      medians_[{name.substr(0, a), std::strtoul(name.c_str() + b + 1, nullptr, 10)}]
              [name.substr(a + 1, b - a - 1)] = run.GetAdjustedRealTime();
    }
  }
  void Finalize() override {
    for (const auto& [key, peers] : medians_) {
      const auto mine = peers.find("chime");
      if (mine == peers.end()) continue;
      for (const auto& [peer, time] : peers) {
        if (peer == "chime") continue;
        std::printf("ratio %-8s n=%zu chime=%.1f %s=%.1f x=%.2f\n", key.first.c_str(), key.second,
                    mine->second, peer.c_str(), time, time / mine->second);
      }
    }
  }

 private:
  std::map<std::pair<std::string, size_t>, std::map<std::string, double>> medians_;
};

/// Registers one workload for one queue. What is reported is the time of one operation.
template <typename Workload, typename Queue>
void add(size_t n) {
  const auto body = [n](benchmark::State& state) {
    const int rounds =
        static_cast<int>(std::max<size_t>(1, 100'000 / n));  // of small settings, several
    for (auto _ : state) {
      double t = 0;
      for (int i = 0; i != rounds; ++i) {
        auto s = std::make_unique<setting<Queue>>(n, static_cast<std::uint64_t>(i + 1));
        t += Workload::run(*s);
      }
      state.SetIterationTime(t / static_cast<double>(n) / rounds);
    }
  };
  const std::string name =
      std::string{Workload::name} + "/" + Queue::name + "/" + std::to_string(n);
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->UseManualTime()
      ->Iterations(1)
      ->Repetitions(5)
      ->ReportAggregatesOnly()
      ->Unit(benchmark::kNanosecond);
}

template <typename Workload>
void add_all(size_t n) {
  add<Workload, chime_wheel>(n);
  add<Workload, asio_queue>(n);
  add<Workload, lazy_heap>(n);
  add<Workload, rb_tree>(n);
}

}  // namespace
}  // namespace chime::bench

int main(int argc, char** argv) {
  using namespace chime::bench;
  const char* chosen = std::getenv("CHIME_BENCH_N");
  std::istringstream sizes{chosen != nullptr ? chosen : "1000 100000 1000000"};
  for (std::size_t n = 0; sizes >> n;) {
    add_all<schedule>(n);
    add_all<rearm>(n);
    add_all<cancel>(n);
    add_all<expire>(n);
    add_all<hold>(n);
    add_all<extend>(n);
    add_all<timeouts>(n);
    add_all<stall>(n);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  ratio_reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
}
