// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What an expiration costs in system calls where many timerfds are waited for: in common (pooled), or with
// one registration in the reactor each. Counted by a tracer, as `strace -c` does, and checked against the
// rule: no expiration is lost. Fails where a pooled one takes more than 1.1 at 10,000 timers of 10 ms.
// Usage: aio [timers] [milliseconds between expirations]
//
// A tracer slows the program down many times, so that timers are late and more of them expire at a time.
// To judge by what came without one: aio free pooled|each [timers] [milliseconds], which says how many waits
// and expirations there were, under `strace -c` or `perf stat -e raw_syscalls:sys_enter` or alone.

#include <chime/basic_timer.hpp>
#include <chime/kernel/pooled_timerfd.hpp>
#include <chime/kernel/timerfd.hpp>
#include <chime/pooled_timerfd.hpp>
#include <chime/rules.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <optional>
#include <string_view>
#include <type_traits>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::nanoseconds;

namespace {

using clock_type = chime::monotonic_clock;

struct tally {
  std::uint64_t expirations = 0;
  std::uint64_t waits = 0;
  std::uint64_t lost = 0;
  std::uint64_t made = 0;  // system calls
  double cpu_ns = 0;       // an expiration
  std::map<std::uint64_t, std::uint64_t> by_number;
};

// A system call that nobody makes by chance: what is counted lies between the first and the second.
void mark() { ::syscall(SYS_getppid); }

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

template <class Facility>
class crowd {
 public:
  tally run(std::size_t size, nanoseconds interval, nanoseconds length) {
    chime::error_code ec;
    if (is_pooled) chime::reserve_pooled_timers(context_, size, ec);
    if (ec) std::fprintf(stderr, "aio: no room for all: %s\n", ec.message().c_str());
    const auto first = clock_type::now() + 500ms;
    for (std::size_t i = 0; i < size; ++i) {
      const auto share = interval * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(size);
      asio::co_spawn(context_, beat(first + share, interval), asio::detached);
    }
    asio::co_spawn(context_, measure(first + length / 2, first + length), asio::detached);
    context_.run();
    return counted_;
  }

 private:
  static constexpr bool is_pooled =
      std::is_same_v<Facility, chime::kernel::pooled_timerfd<clock_type>>;
  using timer = chime::basic_timer<Facility>;

  asio::awaitable<void> beat(clock_type::time_point first, nanoseconds interval) {
    timer t{co_await asio::this_coro::executor};
    t.set(timer::setting_type::at(first, interval));
    std::uint64_t sum = 0;
    while (!stop_) {
      const auto e = co_await t.async_wait();
      sum += e.expirations;
      counted_.lost += sum != chime::rules::expirations_by(first.time_since_epoch(), interval,
                                                           e.scheduled.time_since_epoch());
      if (!counts_) continue;
      counted_.expirations += e.expirations;
      ++counted_.waits;
    }
  }

  asio::awaitable<void> measure(clock_type::time_point begin, clock_type::time_point end) {
    chime::basic_timer<chime::kernel::timerfd<clock_type>> t{co_await asio::this_coro::executor};
    t.expires_at(begin);
    co_await t.async_wait();
    const double cpu = cpu_seconds();
    mark();
    counts_ = true;
    t.expires_at(end);
    co_await t.async_wait();
    mark();
    counts_ = false;
    stop_ = true;
    counted_.cpu_ns = (cpu_seconds() - cpu) * 1e9 / static_cast<double>(counted_.expirations);
  }

  asio::io_context context_{1};
  tally counted_;
  bool counts_ = false;
  bool stop_ = false;
};

tally run(bool pooled, std::size_t size, nanoseconds interval, nanoseconds length) {
  return pooled ? crowd<chime::kernel::pooled_timerfd<clock_type>>{}.run(size, interval, length)
                : crowd<chime::kernel::timerfd<clock_type>>{}.run(size, interval, length);
}

/// The same in a child, with its system calls counted between the marks. Nothing where that is refused.
std::optional<tally> traced(bool pooled, std::size_t size, nanoseconds interval,
                            nanoseconds length) {
  int ends[2];
  if (::pipe(ends) == -1) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == -1) ::_exit(2);
    ::raise(SIGSTOP);
    const tally t = run(pooled, size, interval, length);
    const std::uint64_t out[] = {t.expirations, t.waits, t.lost};
    ::_exit(::write(ends[1], out, sizeof out) == sizeof out ? 0 : 1);
  }
  int status = 0;
  if (child == -1 || ::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return {};
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, long{PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL});
  tally seen;
  int marks = 0;
  long signal = 0;
  for (;;) {
    if (::ptrace(PTRACE_SYSCALL, child, nullptr, signal) == -1) return {};
    if (::waitpid(child, &status, 0) != child) return {};
    if (WIFEXITED(status) || WIFSIGNALED(status)) break;
    signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
    if (signal != 0) continue;
    __ptrace_syscall_info call{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof call, &call) <= 0) return {};
    if (call.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
    if (call.entry.nr == SYS_getppid)
      ++marks;
    else if (marks == 1)
      ++seen.by_number[call.entry.nr], ++seen.made;
  }
  std::uint64_t in[3]{};
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || marks != 2 ||
      ::read(ends[0], in, sizeof in) != sizeof in)
    return {};
  ::close(ends[0]);
  ::close(ends[1]);
  seen.expirations = in[0];
  seen.waits = in[1];
  seen.lost = in[2];
  return seen;
}

double ratio(std::uint64_t a, std::uint64_t b) {
  return static_cast<double>(a) / static_cast<double>(b);
}

const char* name_of(std::uint64_t number) {
  switch (number) {
    case SYS_read: return "read";
    case SYS_epoll_wait: return "epoll_wait";
    case SYS_epoll_ctl: return "epoll_ctl";
    case SYS_io_submit: return "io_submit";
    case SYS_io_getevents: return "io_getevents";
    case SYS_timerfd_settime: return "timerfd_settime";
    default: return "other";
  }
}

}  // namespace

int main(int argc, char** argv) {
  ::rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  const bool is_free = argc > 2 && std::string_view{argv[1]} == "free";
  char** const arguments = argv + (is_free ? 2 : 0);
  const int given = argc - (is_free ? 2 : 0);  // with what stands for the name
  const std::size_t size = given > 1 ? std::strtoull(arguments[1], nullptr, 10) : 10'000;
  const auto interval = 1ms * (given > 2 ? std::atoi(arguments[2]) : 10);

  if (is_free) {
    const bool pooled = std::string_view{argv[2]} == "pooled";
    const tally t = run(pooled, size, interval, 2s);
    std::printf(
        "aio free %s: %zu timers: %llu expirations in %llu waits, %llu not by the rule, "
        "%.0f ns of CPU an expiration\n",
        argv[2], size, static_cast<unsigned long long>(t.expirations),
        static_cast<unsigned long long>(t.waits), static_cast<unsigned long long>(t.lost),
        t.cpu_ns);
    return t.lost == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  }

  bool ok = true;
  for (const bool pooled : {true, false}) {
    const auto t = traced(pooled, size, interval, 4s);
    if (!t) {
      std::puts("SKIPPED: this system does not let a process trace its child");
      return EXIT_SUCCESS;
    }
    std::printf(
        "aio %s: %zu timers every %lld ms: %llu expirations in %llu waits; system calls: "
        "%.3f an expiration, %.3f a wait\n",
        pooled ? "pooled" : "one registration each", size, static_cast<long long>(interval / 1ms),
        static_cast<unsigned long long>(t->expirations), static_cast<unsigned long long>(t->waits),
        ratio(t->made, t->expirations), ratio(t->made, t->waits));
    for (const auto& [number, n] : t->by_number)
      std::printf("  %-16s %llu\n", name_of(number), static_cast<unsigned long long>(n));
    ok = ok && t->lost == 0 && t->expirations > 0;
    // By the wait, which is stricter: an expiration that was late shares its read with others.
    if (pooled && size >= 10'000 && ratio(t->made, t->waits) > 1.1) ok = false;
  }
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
