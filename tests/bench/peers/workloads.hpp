// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// What timer queues are put through. A queue numbers its timers 0 .. n-1, takes times in
/// nanoseconds, and says in `is_told_the_time` whether it can be told what time it is:
/// `expire(now, f)` then calls `f(timer)` for each due timer in order; `f` may arm it again.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace chime::bench {

using std::int64_t;
using std::size_t;

constexpr int64_t second = 1'000'000'000;
constexpr int64_t horizon = 10 * second;  // deadlines lie within it

/// How deadlines lie.
enum class spread {
  uniform,
  clustered,  ///< within a millisecond of every tenth of a second
  equal,      ///< each as long after the one before it was armed: one timeout for all
};

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

inline std::vector<std::uint32_t> shuffled(size_t n, random_numbers& random) {
  std::vector<std::uint32_t> order(n);
  for (size_t i = 0; i != n; ++i) order[i] = static_cast<std::uint32_t>(i);
  for (size_t i = n; i > 1; --i)
    std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  return order;
}

/// A queue with n timers armed, somewhere in the life of a clock.
template <typename Queue>
struct setting {
  setting(size_t count, spread s, std::uint64_t seed)
      : n{count}, lie{s}, random{seed}, queue{count} {
    if constexpr (Queue::is_told_the_time)
      queue.expire(start, [](size_t) {});  // it has been looked at before
  }

  /// For a timer armed at `then`.
  int64_t deadline(int64_t then) {
    switch (lie) {
      case spread::clustered: {
        constexpr int64_t apart = second / 10;
        const int64_t at = then + random.below(horizon - apart);
        return (at / apart + 1) * apart + random.below(second / 1000);
      }
      case spread::equal: return then + horizon / 2;
      case spread::uniform: break;
    }
    return then + random.below(horizon);
  }
  /// For the k-th of all timers, armed one after the other.
  int64_t deadline_of(size_t k) {
    const auto step = horizon / 2 / static_cast<int64_t>(n);
    return deadline(start + (lie == spread::equal ? static_cast<int64_t>(k) * step : 0));
  }

  void arm_all() {
    for (size_t i = 0; i != n; ++i) queue.arm(i, deadline_of(i));
  }
  /// Runs as many expiries as there are timers, each armed again at once.
  template <typename Step>
  void hold(Step step) {
    const int64_t tick = std::max<int64_t>(1, horizon / 2 / static_cast<int64_t>(n));
    for (size_t done = 0; done < n; now += tick) {
      step([&] {
        queue.expire(now, [&](size_t i) {
          queue.arm(i, deadline(now));
          ++done;
        });
      });
    }
  }

  static constexpr int64_t start = 1'000'000 * second;
  size_t n;
  spread lie;
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
      size_t k = 0;
      for (const size_t i : order) s.queue.rearm(i, s.deadline_of(k++));
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
      if constexpr (Queue::is_told_the_time)
        s.queue.expire(s.start + 2 * horizon, [](size_t) { std::abort(); });
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
        seconds_of([&] { s.queue.expire(s.start + 2 * horizon, [&](size_t) { ++done; }); });
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

/// Registers one workload for one queue. What is reported is the time of one operation.
template <typename Workload, typename Queue>
void add(size_t n, spread lie) {
  const auto body = [n, lie](benchmark::State& state) {
    const int rounds =
        static_cast<int>(std::max<size_t>(1, 100'000 / n));  // of small settings, several
    for (auto _ : state) {
      double t = 0;
      for (int i = 0; i != rounds; ++i) {
        auto s = std::make_unique<setting<Queue>>(n, lie, static_cast<std::uint64_t>(i + 1));
        t += Workload::run(*s);
      }
      state.SetIterationTime(t / static_cast<double>(n) / rounds);
    }
  };
  static constexpr const char* how[] = {"", ".clustered", ".equal"};
  const std::string name = std::string{Workload::name} + how[static_cast<int>(lie)] + "/" +
                           Queue::name + "/" + std::to_string(n);
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->UseManualTime()
      ->Iterations(1)
      ->ReportAggregatesOnly()
      ->Unit(benchmark::kNanosecond);
}

/// Puts a queue through all that it can do. (To put off ever further and to time out are of one
/// duration by themselves.)
template <typename Queue>
void add_queue(size_t n) {
  for (const spread lie : {spread::uniform, spread::clustered, spread::equal}) {
    add<schedule, Queue>(n, lie);
    add<rearm, Queue>(n, lie);
    add<cancel, Queue>(n, lie);
    if constexpr (Queue::is_told_the_time) {
      add<expire, Queue>(n, lie);
      add<hold, Queue>(n, lie);
      add<stall, Queue>(n, lie);
    }
  }
  add<extend, Queue>(n, spread::uniform);
  if constexpr (Queue::is_told_the_time) add<timeouts, Queue>(n, spread::uniform);
}

// One for each file of queues. False where the library is not there.
void add_queues(size_t n);
bool add_libuv(size_t n);
bool add_libevent(size_t n);
bool add_libev(size_t n);

}  // namespace chime::bench
