// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

// What a process has of signals and threads, to see that it is as before.

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>

#include "support/no_leak.hpp"
#include "support/slack.hpp"

namespace signals {

// A thread that has been joined may be listed for a moment yet: the kernel tells who joins it first.
inline std::ptrdiff_t threads() {
  ::pid_t id = 0;
  std::thread{[&] { id = ::gettid(); }}.join();  // with its first a sanitizer starts one of its own
  while (std::filesystem::exists("/proc/self/task/" + std::to_string(id)))
    std::this_thread::yield();
  using iterator = std::filesystem::directory_iterator;
  return std::distance(iterator{"/proc/self/task"}, iterator{});
}

/// Everything that timers might touch and must leave as it was.
struct footprint {
  footprint() {
    for (int s = 1; s < 65; ++s) {
      if (s == 32 || s == 33) continue;  // glibc's own
      struct ::sigaction& a = actions[static_cast<std::size_t>(s)];
      ::sigaction(s, nullptr, &a);
      a.sa_flags &= ~sa_restorer;
    }
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    ::sigpending(&pending);
  }

  /// The first signal whose disposition, mask or pending state differs; 0 if none does.
  [[nodiscard]] int first_difference(const footprint& other) const {
    for (int s = 1; s < 65; ++s) {
      const auto& a = actions[static_cast<std::size_t>(s)];
      const auto& b = other.actions[static_cast<std::size_t>(s)];
      if (a.sa_handler != b.sa_handler || a.sa_flags != b.sa_flags ||
          ::sigismember(&mask, s) != ::sigismember(&other.mask, s) ||
          ::sigismember(&pending, s) != ::sigismember(&other.pending, s))
        return s;
    }
    return 0;
  }

  static constexpr int sa_restorer = 0x04000000;  // the C library's, on any action it has set

  std::array<struct ::sigaction, 65> actions{};
  ::sigset_t mask{};
  ::sigset_t pending{};
};

/// Fixture: signals, threads and descriptors are as before at the end of the test.
class leaves_no_trace : support::no_leak {
 public:
  leaves_no_trace() = default;
  leaves_no_trace(const leaves_no_trace&) = delete;
  leaves_no_trace& operator=(const leaves_no_trace&) = delete;
  ~leaves_no_trace() {
    CHECK_EQ(footprint{}.first_difference(before_), 0);
    const auto patience = std::chrono::steady_clock::now() + support::slack;
    while (threads() > threads_ && std::chrono::steady_clock::now() < patience) continue;
    CHECK_EQ(threads(), threads_);
  }

 private:
  footprint before_;
  std::ptrdiff_t threads_ = threads();
};

}  // namespace signals
