// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// What a loop costs: CPU time, instructions, system calls, heap allocations and lateness.

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

/// Counts what this thread does and those that it starts; perf_event_open(2). No number (-1) where
/// that is refused or the machine does not count it.
class event_count {
 public:
  event_count(std::uint32_t type, std::uint64_t config) {
    ::perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = type;
    attributes.config = config;
    attributes.inherit = 1;
    fd_ = static_cast<int>(::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  }
  event_count(const event_count&) = delete;
  event_count& operator=(const event_count&) = delete;
  ~event_count() {
    if (fd_ != -1) ::close(fd_);
  }

  /// System calls, by the kernel's trace point: for root, and where tracefs is mounted.
  static std::uint64_t system_calls() {
    std::ifstream file{"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id"};
    std::uint64_t id = 0;
    return file >> id ? id : ~std::uint64_t{0};
  }

  void begin() { counted_ = -read(); }
  void end() { counted_ += read(); }
  [[nodiscard]] bool counts() const { return read() != -1; }
  [[nodiscard]] std::int64_t counted() const { return counted_; }

 private:
  [[nodiscard]] std::int64_t read() const {
    std::int64_t n = -1;
    return fd_ != -1 && ::read(fd_, &n, sizeof n) == sizeof n ? n : -1;
  }

  int fd_ = -1;
  std::int64_t counted_ = 0;
};

/// Measures from begin() to end(), and the lateness of each expiration that is noted between.
class meter {
 public:
  void begin() {
    late_.reserve(1 << 20);
    calls_.begin();
    instructions_.begin();
    allocations_ = heap_allocations();
    cpu_ = -nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID);
    is_on_ = true;
  }
  void end() {
    if (!is_on_) return;
    is_on_ = false;
    cpu_ += nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID);
    allocations_ = heap_allocations() - allocations_;
    instructions_.end();
    calls_.end();
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
  [[nodiscard]] double calls() const { return per_one(calls_); }
  [[nodiscard]] double instructions() const { return per_one(instructions_); }
  [[nodiscard]] bool has_lateness() const { return !late_.empty(); }
  [[nodiscard]] double lateness(double quantile) {
    const auto at = static_cast<std::ptrdiff_t>(quantile * static_cast<double>(late_.size() - 1));
    std::nth_element(late_.begin(), late_.begin() + at, late_.end());
    return static_cast<double>(late_[static_cast<std::size_t>(at)]) / 1000;
  }

 private:
  [[nodiscard]] double per_one(const event_count& n) const {
    return n.counts() ? per_one(static_cast<double>(n.counted())) : -1;
  }

  event_count calls_{PERF_TYPE_TRACEPOINT, event_count::system_calls()};
  event_count instructions_{PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS};
  std::vector<std::int64_t> late_;
  std::int64_t cpu_ = 0;
  std::uint64_t allocations_ = 0;
  std::uint64_t done_ = 0;
  bool is_on_ = false;
};

}  // namespace chime::bench
