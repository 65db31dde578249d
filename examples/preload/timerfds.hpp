// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// timerfds: the model of each lies in memory that is shared with the children of fork(2), as the
/// kernel's is (F9). The descriptor is an eventfd that holds a count while the timer does.

#include "kernel.hpp"
#include "list.hpp"
#include "lock.hpp"
#include "process.hpp"

#include <chime/engine/timerfd_model.hpp>

#include <atomic>

namespace preload {

/// The timer itself, for all processes that have a descriptor of it.
struct shared_timerfd {
  explicit shared_timerfd(chime::clock_kind clock) noexcept : model{clock} {}

  shared_lock mutex;
  chime::engine::timerfd_model model;
  nanoseconds realtime_offset{};   // when somebody last looked whether the clock was set
  std::atomic<int> processes = 1;  // that have it; whoever ended without closing it is one for ever
  bool watches_clock = false;      // the setting asks to be told when the clock is set
  bool is_marked = false;          // the eventfd holds a count
  std::atomic<std::uint32_t> changes = 0;  // made by processes that share it
  std::atomic<std::uint32_t> marks = 0;    // how often it was marked: a futex for blocking reads
  // That wait there; those that left otherwise are counted for ever.
  std::atomic<std::uint32_t> readers = 0;
};

/// What one process has of it.
struct timerfd : node {
  timerfd(shared_timerfd& timer, bool made_here) noexcept
      : node{kind::timerfd}, shared{&timer}, is_made_here{made_here} {}

  shared_timerfd* shared;
  std::uint64_t serial = 0;  // of this process: memory is used again
  int fd = -1;               // one of its descriptors
  int descriptors = 0;       // how many there are
  bool is_shared = false;    // a fork has given it to another process
  bool is_counted = false;   // among those that may be told when the clock is set
  std::uint32_t seen_changes = 0;
  bool is_made_here;  // its memory is this process's to reuse
  place<timerfd> among_all;
  place<timerfd> among_looked_at;
};

/// The last descriptor in this process is gone.
void destroy(timerfd& timer) noexcept;

}  // namespace preload
