// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What an expiration costs in system calls: no more than a hand-written loop of a stream_descriptor
// and read(2). Counted by a tracer, as strace does.
#include "support/asio.hpp"
#include "support/sanitizer.hpp"

#include <chime/shim/timerfd.hpp>
#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::monotonic_clock;

constexpr int warm_up = 10;
constexpr int counted = 100;

// A system call that nobody makes by chance: the counting begins at the first and ends at the
// second.
void mark() { ::syscall(SYS_getppid); }

asio::awaitable<void> chime_loop() {
  chime::timerfd<monotonic_clock> t{co_await asio::this_coro::executor};
  t.expires_every(500us);
  for (int i = 0; i < warm_up; ++i) co_await t.async_wait();
  mark();
  for (int i = 0; i < counted; ++i) co_await t.async_wait();
  mark();
}

asio::awaitable<void> hand_written_loop() {
  auto fd = chime::shim::timerfd_create(chime::shim::clock_id::monotonic,
                                        chime::shim::timerfd_flags::nonblock)
                .value();
  asio::posix::stream_descriptor t{co_await asio::this_coro::executor, fd.release()};
  [[maybe_unused]] const auto old = chime::shim::timerfd_settime(
      t.native_handle(), chime::shim::timerfd_set_flags::none, {{0, 500'000}, {0, 500'000}});
  std::uint64_t expirations = 0;
  for (int i = 0; i < warm_up + counted; ++i) {
    if (i == warm_up) mark();
    co_await t.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    if (::read(t.native_handle(), &expirations, sizeof expirations) < 0) ::_exit(3);
  }
  mark();
}

using counts = std::map<std::uint64_t, int>;  // by the number of the system call

// Runs a loop in a child and counts the system calls between its marks. Nothing where that is
// refused.
std::optional<counts> trace(asio::awaitable<void> (*loop)()) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == -1) ::_exit(2);
    ::raise(SIGSTOP);
    asio::io_context context{1};
    asio::co_spawn(context, loop(), asio::detached);
    context.run();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (!WIFSTOPPED(status)) return std::nullopt;
  const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
  REQUIRE(::ptrace(PTRACE_SETOPTIONS, child, nullptr, options) == 0);
  counts seen;
  int marks = 0;
  int signal = 0;
  for (;;) {
    REQUIRE(::ptrace(PTRACE_SYSCALL, child, nullptr, static_cast<long>(signal)) == 0);
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) || WIFSIGNALED(status)) break;
    signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
    if (signal != 0) continue;
    __ptrace_syscall_info call{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof call, &call) <= 0)
      return std::nullopt;  // before Linux 5.3; the child is killed by and by
    if (call.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
    if (call.entry.nr == SYS_getppid)
      ++marks;
    else if (marks == 1)
      ++seen[call.entry.nr];
  }
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);
  REQUIRE(marks == 2);
  return seen;
}

double per_expiration(const counts& seen) {
  int total = 0;
  for (const auto& [number, n] : seen) total += n;
  return static_cast<double>(total) / counted;
}

}  // namespace

TEST_CASE("an expiration makes no more system calls than a hand-written loop does" *
          doctest::test_suite("kernel")) {
  if (support::thread_sanitizer) {
    std::puts("SKIPPED: ThreadSanitizer makes system calls of its own");
    return;
  }
  const auto ours = trace(chime_loop);
  const auto theirs = trace(hand_written_loop);
  if (!ours || !theirs) {
    std::puts("SKIPPED: this system does not let a process trace its child");
    return;
  }
  std::printf("system calls per expiration: chime %.2f, hand-written %.2f\n", per_expiration(*ours),
              per_expiration(*theirs));
  for (const auto& [number, n] : *ours)
    std::printf("  system call %d: %d times in %d expirations\n", static_cast<int>(number), n,
                counted);
  REQUIRE_FALSE(ours->empty());
  CHECK(ours->at(SYS_read) == counted);
#if !defined( \
    BOOST_ASIO_HAS_IO_URING)  // there the reactor's calls depend on how completions coincide
  CHECK(*ours == *theirs);
#endif
}
