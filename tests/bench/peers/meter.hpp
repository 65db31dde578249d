// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// What a loop costs: CPU time, system calls, heap allocations and lateness.

#include "../../timer/heap.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <vector>

namespace chime::bench {

inline std::int64_t nanoseconds_of(::clockid_t clock) {
  ::timespec t{};
  ::clock_gettime(clock, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

/// System calls of this thread and those it starts, by the kernel's trace point; perf_event_open(2).
/// Takes root, and is no number (-1) without it.
class system_calls {
 public:
  system_calls() {
    std::ifstream file{"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id"};
    ::perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.inherit = 1;
    if (file >> attributes.config)
      fd_ = static_cast<int>(::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  }
  system_calls(const system_calls&) = delete;
  system_calls& operator=(const system_calls&) = delete;
  ~system_calls() {
    if (fd_ != -1) ::close(fd_);
  }

  [[nodiscard]] std::int64_t count() const {
    std::int64_t n = -1;
    if (fd_ == -1 || ::read(fd_, &n, sizeof n) != sizeof n) return -1;
    return n;
  }

 private:
  int fd_ = -1;
};

/// Measures from begin() to end(), and the lateness of each expiration that is noted between.
class meter {
 public:
  void begin() {
    late_.reserve(1 << 20);
    calls_ = -syscalls_.count();
    allocations_ = heap_allocations();
    cpu_ = -nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID);
    is_on_ = true;
  }
  void end() {
    if (!is_on_) return;
    is_on_ = false;
    cpu_ += nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID);
    allocations_ = heap_allocations() - allocations_;
    calls_ += syscalls_.count();
  }

  /// So many operations are done.
  void add(std::uint64_t n) { done_ += n; }

  /// One expiration has been waited for that was due so long ago. A few of many are kept.
  void note(std::int64_t late) {
    if (!is_on_) return;
    ++done_;
    if (late_.size() < late_.capacity()) late_.push_back(late);
  }

  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] double per_one(double x) const { return x / static_cast<double>(done_); }
  [[nodiscard]] double cpu() const { return per_one(static_cast<double>(cpu_)); }
  [[nodiscard]] double allocations() const { return per_one(static_cast<double>(allocations_)); }
  [[nodiscard]] double calls() const {
    return syscalls_.count() == -1 ? -1 : per_one(static_cast<double>(calls_));
  }
  [[nodiscard]] bool has_lateness() const { return !late_.empty(); }
  [[nodiscard]] double lateness(double quantile) {
    const auto at = static_cast<std::ptrdiff_t>(quantile * static_cast<double>(late_.size() - 1));
    std::nth_element(late_.begin(), late_.begin() + at, late_.end());
    return static_cast<double>(late_[static_cast<std::size_t>(at)]) / 1000;
  }

 private:
  system_calls syscalls_;
  std::vector<std::int64_t> late_;
  std::int64_t calls_ = 0;
  std::int64_t cpu_ = 0;
  std::uint64_t allocations_ = 0;
  std::uint64_t done_ = 0;
  bool is_on_ = false;
};

}  // namespace chime::bench
