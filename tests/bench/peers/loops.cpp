// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Event loops: K timers in periodic waits, as coroutines and as callbacks, on one thread and on
// two; and timeouts that are nearly always cancelled. What is reported is the CPU time of one
// expiration, or of one timeout armed and cancelled; beside it system calls, allocations and
// lateness (us).

#include "loops.hpp"

#include "meter.hpp"

#include <chime/basic_timer.hpp>
#include <chime/engine_options.hpp>
#include <chime/user/timerfd.hpp>

#include <benchmark/benchmark.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace chime::bench {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using clock_type = chime::monotonic_clock;
using engine_timer = chime::basic_timer<chime::user::timerfd<clock_type>>;
using steady_timer = asio::steady_timer;

nanoseconds length() {
  const char* chosen = std::getenv("CHIME_BENCH_MS");
  return std::chrono::milliseconds{chosen ? std::atoi(chosen) : 1000};
}

/// What a loop of K timers is to do.
struct plan {
  std::size_t timers;
  nanoseconds interval;
  nanoseconds spread_over;  // within it lie their deadlines, evenly
  nanoseconds tolerance{};
  unsigned threads = 1;
};

/// One run of a plan: its timers begin together, are let run in, and are measured then; where there
/// are several threads, from the start.
class run {
 public:
  explicit run(const plan& p) : what{p} {}

  [[nodiscard]] std::int64_t first(std::size_t i) const {
    const auto share =
        what.spread_over * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(what.timers);
    return (start + share).count();
  }
  [[nodiscard]] bool goes_on(std::int64_t now) {
    if (now < measured_from) return true;
    if (!has_begun) {
      has_begun = true;
      cost.begin();
    }
    if (now < measured_to) return true;
    cost.end();
    return false;
  }
  /// An expiration; false: that was the last.
  bool note(std::int64_t due) {
    const std::int64_t now = nanoseconds_of(CLOCK_MONOTONIC);
    if (what.threads > 1) return note_shared(now);
    const bool more = goes_on(now);
    cost.note(now - due);
    return more;
  }

  plan what;
  meter cost;
  const nanoseconds start{nanoseconds_of(CLOCK_MONOTONIC) +
                          static_cast<std::int64_t>(what.timers) * 4'000 + 20'000'000};
  const std::int64_t measured_from = (start + std::max(what.interval, nanoseconds{50ms})).count();
  const std::int64_t measured_to = measured_from + length().count();
  bool has_begun = false;
  std::atomic<std::uint64_t> done{0};

 private:
  bool note_shared(std::int64_t now) {
    done.fetch_add(1, std::memory_order_relaxed);
    return now < measured_to;
  }
};

/// A coroutine that awaits whatever can be awaited.
struct native_task {
  struct promise_type {
    native_task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { std::terminate(); }
  };
};

// Periodic waits, the three ways.

// No co_await in a condition: what g++ 12 makes of one crashes.

asio::awaitable<void> beat(engine_timer& t, run& r) {
  for (bool more = true; more;) {
    const auto tick = co_await t.async_wait();
    more = r.note(tick.scheduled.time_since_epoch().count());
  }
}
asio::awaitable<void> beat(steady_timer& t, run& r) {
  for (auto due = t.expiry();; t.expires_at(due += r.what.interval)) {
    co_await t.async_wait(asio::use_awaitable);
    if (!r.note(due.time_since_epoch().count())) break;
  }
}
native_task beat_natively(engine_timer& t, run& r) {
  for (bool more = true; more;) {
    const auto tick = co_await t;
    more = r.note(tick.scheduled.time_since_epoch().count());
  }
}

struct on_expiry {
  engine_timer& timer;
  run& r;
  void operator()(chime::error_code, engine_timer::expiry_type e) {
    if (r.note(e.scheduled.time_since_epoch().count())) timer.async_wait(on_expiry{*this});
  }
};
struct on_deadline {
  steady_timer& timer;
  run& r;
  void operator()(chime::error_code) {
    const auto due = timer.expiry();
    if (!r.note(due.time_since_epoch().count())) return;
    timer.expires_at(due + r.what.interval);
    timer.async_wait(on_deadline{*this});
  }
};

void set(engine_timer& t, run& r, std::int64_t first) {
  t.set(
      engine_timer::setting_type::at(clock_type::time_point{nanoseconds{first}}, r.what.interval));
}
void set(steady_timer& t, run&, std::int64_t first) {
  t.expires_at(steady_timer::time_point{nanoseconds{first}});
}

struct awaitable_way {
  static constexpr const char* name = "awaitable";
  template <class Timer>
  static void begin(asio::io_context& c, Timer& t, run& r) {
    asio::co_spawn(c, beat(t, r), asio::detached);
  }
};
struct callback_way {
  static constexpr const char* name = "callback";
  static void begin(asio::io_context&, engine_timer& t, run& r) { t.async_wait(on_expiry{t, r}); }
  static void begin(asio::io_context&, steady_timer& t, run& r) { t.async_wait(on_deadline{t, r}); }
};
struct native_way {  // Asio has none: its awaitable stands beside it
  static constexpr const char* name = "native";
  static void begin(asio::io_context&, engine_timer& t, run& r) { beat_natively(t, r); }
  static void begin(asio::io_context& c, steady_timer& t, run& r) { awaitable_way::begin(c, t, r); }
};

template <class Timer, class Way>
void run_asio(run& r) {
  asio::io_context context{static_cast<int>(r.what.threads)};
  if constexpr (std::is_same_v<Timer, engine_timer>)
    chime::configure_engine(
        context, {.tolerance = r.what.tolerance, .single_threaded = r.what.threads == 1});
  std::deque<Timer> timers;
  for (std::size_t i = 0; i != r.what.timers; ++i) {
    timers.emplace_back(context);
    set(timers.back(), r, r.first(i));
    Way::begin(context, timers.back(), r);
  }
  if (r.what.threads == 1) {
    context.run();
    return;
  }
  r.cost.begin();
  std::vector<std::thread> threads;
  for (unsigned i = 0; i != r.what.threads; ++i) threads.emplace_back([&] { context.run(); });
  for (auto& t : threads) t.join();
  r.cost.end();
  r.cost.add(r.done);
}

/// A timerfd each, in one epoll set.
void run_by_hand(run& r) {
  struct entry {
    int fd;
    std::int64_t due;
  };
  std::vector<entry> timers(r.what.timers);
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  const auto spec = [](std::int64_t ns) {
    return ::timespec{ns / 1'000'000'000, ns % 1'000'000'000};
  };
  for (std::size_t i = 0; i != timers.size(); ++i) {
    timers[i] = {::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), r.first(i)};
    const ::itimerspec s{spec(r.what.interval.count()), spec(timers[i].due)};
    ::epoll_event event{EPOLLIN, {.u64 = i}};
    if (::timerfd_settime(timers[i].fd, TFD_TIMER_ABSTIME, &s, nullptr) == -1 ||
        ::epoll_ctl(poll, EPOLL_CTL_ADD, timers[i].fd, &event) == -1)
      std::abort();
  }
  for (bool more = true; more;) {
    ::epoll_event events[128];
    const int n = ::epoll_wait(poll, events, 128, -1);
    for (int i = 0; i < n; ++i) {
      entry& t = timers[events[i].data.u64];
      std::uint64_t count = 0;
      if (::read(t.fd, &count, sizeof count) != sizeof count) continue;
      t.due += static_cast<std::int64_t>(count) * r.what.interval.count();
      more = r.note(t.due - r.what.interval.count());
      if (!more) break;
    }
  }
  for (const entry& t : timers) ::close(t.fd);
  ::close(poll);
}

void report(benchmark::State& state, meter& m) {
  state.SetIterationTime(m.cpu() * 1e-9);
  state.counters["calls"] = m.calls();
  state.counters["instructions"] = m.instructions();
  state.counters["allocs"] = m.allocations();
  if (!m.has_lateness()) return;
  state.counters["p50"] = m.lateness(0.5);
  state.counters["p99"] = m.lateness(0.99);
  state.counters["max"] = m.lateness(1);
}

template <class Body>
void add(const std::string& workload, const char* peer, std::size_t n, Body body) {
  benchmark::RegisterBenchmark((workload + "/" + peer + "/" + std::to_string(n)).c_str(), body)
      ->UseManualTime()
      ->Iterations(1)
      ->ReportAggregatesOnly()
      ->Unit(benchmark::kNanosecond);
}

void add_run(const std::string& workload, const char* peer, const plan& p, void (*body)(run&)) {
  add(workload, peer, p.timers, [p, body](benchmark::State& state) {
    for (auto _ : state) {
      run r{p};
      body(r);
      report(state, r.cost);
    }
  });
}

template <class Way>
void add_way(const char* family, const plan& p) {
  const std::string workload = std::string{family} + "." + Way::name;
  add_run(workload, "chime", p, run_asio<engine_timer, Way>);
  add_run(workload, "asio", p, run_asio<steady_timer, Way>);
}

void add_ways(const char* family, const plan& p) {
  add_way<awaitable_way>(family, p);
  add_way<callback_way>(family, p);
  add_way<native_way>(family, p);
}

// Timeouts that are nearly always cancelled: of each connection in turn one is armed and waited
// for, and the one before it cancelled. The last handler of a connection begins the next.

constexpr std::size_t timeouts = 500'000;

template <class Timer>
struct connection {
  connection(asio::io_context& c, meter& m, std::size_t n)
      : context{c}, timer{c}, done{m}, left{n} {}

  asio::io_context& context;
  Timer timer;
  meter& done;
  std::size_t left;

  // A request: the timeout begins, the answer comes, the timeout is over.
  void request() {
    if (left-- == 0) return;
    timer.expires_after(30s);
    timer.async_wait([this](chime::error_code, auto...) {
      done.add(1);
      asio::post(context, [this] { request(); });
    });
    timer.cancel();
  }
};

/// The same where a wait that stands on need not be cancelled.
struct lasting_connection {
  lasting_connection(asio::io_context& c, meter& m, std::size_t n)
      : context{c}, timer{c}, done{m}, left{n} {
    timer.async_wait([](chime::error_code, auto) {});
  }

  asio::io_context& context;
  engine_timer timer;
  meter& done;
  std::size_t left;

  void request() {
    if (left-- == 0) return timer.cancel();
    timer.expires_after(30s);
    timer.disarm();
    done.add(1);
    asio::post(context, [this] { request(); });
  }
};

template <class Connection>
void add_timeouts(const char* workload, const char* peer, std::size_t connections) {
  add(workload, peer, connections, [connections](benchmark::State& state) {
    for (auto _ : state) {
      meter m;
      asio::io_context context{1};
      chime::configure_engine(context, {.single_threaded = true});
      std::deque<Connection> all;
      for (std::size_t i = 0; i != connections; ++i)
        all.emplace_back(context, m, timeouts / connections);
      m.begin();
      for (auto& c : all) c.request();
      context.run();
      m.end();
      report(state, m);
    }
  });
}

bool may_open(std::size_t descriptors) {
  ::rlimit most{};
  return ::getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur > descriptors + 64;
}

}  // namespace

void add_loops() {
  const plan one{1, 1ms, 0ns};
  const plan sparse{1000, 10ms, 10ms};
  const plan dense{100'000, 100ms, 0ns};
  const plan crowd{100'000, 100ms, 1ms};
  add_ways("one", one);
  add_run("one.native", "timerfd", one, run_by_hand);
  add_ways("sparse", sparse);
  if (may_open(sparse.timers)) add_run("sparse.native", "timerfd", sparse, run_by_hand);
  for (const auto& [name, tolerance] :
       {std::pair{"sparse50us", 50us}, std::pair{"sparse1ms", 1000us}}) {
    plan p = sparse;
    p.tolerance = tolerance;
    add_way<awaitable_way>(name, p);
  }
  add_ways("dense", dense);
  add_ways("crowd", crowd);
  for (plan p : {sparse, dense}) {
    p.threads = 2;
    const char* const name = p.timers == sparse.timers ? "sparse2threads" : "dense2threads";
    add_way<awaitable_way>(name, p);
    add_way<callback_way>(name, p);
  }
  for (const std::size_t connections : {std::size_t{1}, std::size_t{1000}}) {
    add_timeouts<connection<engine_timer>>("armcancel", "chime", connections);
    add_timeouts<connection<steady_timer>>("armcancel", "asio", connections);
    add_timeouts<lasting_connection>("armdisarm", "chime", connections);
    add_timeouts<connection<steady_timer>>("armdisarm", "asio", connections);
  }
}

}  // namespace chime::bench
