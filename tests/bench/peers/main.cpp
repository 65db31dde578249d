// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// chime and its peers on the same workloads in one process. Beside Google Benchmark's table it
// prints, from the medians of the repetitions,
//     ratio <workload> n=<N> chime=<ns> <peer>=<ns> x=<peer/chime>
// x > 1: chime is faster, or needs less. Names are <workload>/<peer>/<n>; choose by
// --benchmark_filter=<regular expression>. n of the queues: CHIME_BENCH_N (default
// "1000 100000 1000000"). How long each loop runs: CHIME_BENCH_MS (default 1000).

#include "loops.hpp"
#include "report.hpp"
#include "workloads.hpp"

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <vector>

int main(int argc, char** argv) {
  using namespace chime::bench;
  const char* chosen = std::getenv("CHIME_BENCH_N");
  std::istringstream sizes{chosen != nullptr ? chosen : "1000 100000 1000000"};
  bool has_uv = false, has_event = false, has_ev = false;
  for (std::size_t n = 0; sizes >> n;) {
    add_queues(n);
    has_uv = add_libuv(n);
    has_event = add_libevent(n);
    has_ev = add_libev(n);
  }
  if (!has_uv) std::puts("SKIPPED: libuv is not installed");
  if (!has_event) std::puts("SKIPPED: libevent is not installed");
  if (!has_ev) std::puts("SKIPPED: libev is not installed");
  add_loops();

  std::vector<char*> args{argv, argv + argc};
  char repetitions[] = "--benchmark_repetitions=5";
  args.insert(args.begin() + 1, repetitions);  // whatever is given overrides it
  int count = static_cast<int>(args.size());
  args.push_back(nullptr);
  benchmark::Initialize(&count, args.data());
  if (benchmark::ReportUnrecognizedArguments(count, args.data())) return 1;
  ratio_reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
}
