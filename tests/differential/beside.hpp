// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

// Running a model beside the kernel. The kernel reads its clock somewhere between the two readings
// that are taken around each call, so a model's answer is right if *some* instant between them
// gives it. The search for that instant makes the comparison exact to the nanosecond: the model
// goes on from there.

#include "support/one_cpu.hpp"

#include <chime/engine/base.hpp>
#include <chime/engine/timer_spec.hpp>

#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>

namespace diff {

using std::chrono::nanoseconds;
namespace engine = chime::engine;

inline clockid_t id(engine::base b) {
  switch (b) {
    case engine::base::realtime: return CLOCK_REALTIME;
    case engine::base::boottime: return CLOCK_BOOTTIME;
    case engine::base::tai: return CLOCK_TAI;
    case engine::base::process_cpu: return CLOCK_PROCESS_CPUTIME_ID;
    case engine::base::thread_cpu: return CLOCK_THREAD_CPUTIME_ID;
    default: return CLOCK_MONOTONIC;
  }
}
inline nanoseconds now(engine::base b) {
  timespec t;
  clock_gettime(id(b), &t);
  return nanoseconds{t.tv_sec * 1'000'000'000 + t.tv_nsec};
}
inline timespec ts(nanoseconds d) { return {d.count() / 1'000'000'000, d.count() % 1'000'000'000}; }
inline nanoseconds ns(timespec t) { return nanoseconds{t.tv_sec * 1'000'000'000 + t.tv_nsec}; }
inline engine::timer_spec spec(const itimerspec& s) { return {ns(s.it_value), ns(s.it_interval)}; }

inline void sleep_until(engine::base b, nanoseconds t) {
  while (now(b) < t) continue;
}

/// A run: its random seed, printed, and how many operations it takes on each clock.
struct run {
  std::uint64_t seed;
  int operations;
};

/// Reads `PROGRAM [seed] [operations]`. Skips the run where the kernel does not show its timers.
inline run start(int argc, char** argv, int operations) {
  if (std::FILE* f = std::fopen("/proc/timer_list", "r"); f != nullptr) {
    std::fclose(f);
  } else {
    std::puts("SKIPPED: a run beside the kernel reads /proc/timer_list, and that takes root");
    std::exit(77);
  }
  // A timer's interrupt comes there at once, however busy the others are.
  support::stay_on_one_cpu();
  run r{argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::random_device{}(),
        argc > 2 ? std::atoi(argv[2]) : operations};
  std::printf("seed %llu\n", static_cast<unsigned long long>(r.seed));
  return r;
}

/// The instant in [from, to] at which `ask(t)`, a reading, is `seen`. The reading falls by 1 ns
/// each nanosecond and jumps up by the interval.
template <class Ask>
std::optional<nanoseconds> instant_of_reading(nanoseconds from, nanoseconds to,
                                              engine::timer_spec seen, Ask ask) {
  const engine::timer_spec last = ask(to);
  if (last == seen) return to;
  // The kernel reads its clock twice, to forward and to subtract: the new deadline may pass in
  // between.
  const nanoseconds first = ask(from).value;
  if (seen.value.count() == 0 && seen.interval == last.interval && seen.interval.count() > 0 &&
      first.count() > 0 && first <= to - from) {
    return from + first - nanoseconds{1};
  }
  if (const nanoseconds t = from + (first - seen.value); t >= from && t <= to && ask(t) == seen)
    return t;
  std::int64_t back = (seen.value - last.value).count();
  if (back < 0 && seen.interval.count() > 0)
    back = back % seen.interval.count() + seen.interval.count();
  const nanoseconds t = to - nanoseconds{back};
  if (back < 0 || t < from || ask(t) != seen) return std::nullopt;
  return t;
}

/// The instant at which `count(t)`, which only grows, is `seen`.
template <class Count>
std::optional<nanoseconds> instant_of_count(nanoseconds from, nanoseconds to, std::uint64_t seen,
                                            Count count) {
  while (from < to) {
    const nanoseconds mid = from + (to - from) / 2;
    if (count(mid) < seen) {
      from = mid + nanoseconds{1};
    } else {
      to = mid;
    }
  }
  if (count(from) != seen) return std::nullopt;
  return from;
}

/// The exact deadline of an hrtimer that lies in [from, to], and the base it is on:
/// /proc/timer_list.
inline std::optional<nanoseconds> filed_deadline(engine::base b, const char* function,
                                                 nanoseconds from, nanoseconds to) {
  const int index = b == engine::base::monotonic  ? 0
                    : b == engine::base::realtime ? 1
                    : b == engine::base::boottime ? 2
                                                  : 3;
  std::FILE* f = std::fopen("/proc/timer_list", "r");
  if (f == nullptr) return std::nullopt;
  char line[512];
  int at = -1;
  bool ours = false;
  std::optional<nanoseconds> found;
  while (std::fgets(line, sizeof line, f) != nullptr) {
    std::sscanf(line, " clock %d:", &at);
    long long expires = 0;
    if (std::strstr(line, ">, ") != nullptr) ours = std::strstr(line, function) != nullptr;
    if (ours && at == index && std::sscanf(line, " # expires at %lld", &expires) == 1 &&
        expires >= from.count() && expires <= to.count()) {
      found = nanoseconds{expires};
    }
  }
  std::fclose(f);
  return found;
}

}  // namespace diff
