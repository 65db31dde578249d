// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// What a process has of the engine: one lock, one scheduler, one thread that sleeps until the next
/// deadline.

#include "kernel.hpp"

#include <chime/engine/scheduler.hpp>

namespace preload {

class lock;

/// A timer that the scheduler keeps. `fire` is called under the lock when its deadline is reached;
/// it files the timer again, or does not.
struct node : chime::engine::scheduled {
  enum class kind : std::uint8_t { timerfd, posix_timer, itimer };
  explicit node(kind of) noexcept : what{of} {}
  kind what;
};

/// Holds the process's lock. All signals are blocked meanwhile, as handlers call these functions too.
/// What was due before is expired when it returns, so nobody sees a timer that is late.
class locked {
 public:
  locked() noexcept;
  locked(const locked&) = delete;
  locked& operator=(const locked&) = delete;
  ~locked();

 private:
  signal_set mask_;
  lock* lock_;
};

/// Expires what is due by now, if there is anything. Cheap if there is not.
void catch_up() noexcept;

/// Somebody of this process set the clock.
void clock_was_set() noexcept;

// Around whatever makes a child with a copy of this memory: the lock is held in between.
void before_fork() noexcept;
void after_fork_in_parent() noexcept;
/// Parent and child each have an engine from now on if they share timers: the other, whose engine told of them,
/// may be gone at any time.
void after_fork_in_child() noexcept;

/// While any lives the engine has no thread. The next one has what the thread has that ends the last: its credentials, its
/// files. No handler of the program's runs meanwhile, as one may leave by siglongjmp.
class engine_pause {
 public:
  engine_pause() noexcept;
  engine_pause(const engine_pause&) = delete;
  engine_pause& operator=(const engine_pause&) = delete;
  ~engine_pause();

 private:
  bool is_paused_ = false;
  signal_set mask_ = 0;
};

/// Has a thread for the engine from now on, needed or not.
void keep_engine() noexcept;

// All below: with the lock held.

[[nodiscard]] chime::engine::scheduler& the_scheduler() noexcept;

/// Puts a timer in its place (`rules::never`: out of it).
void file(node& timer, chime::engine::time_line& line, nanoseconds deadline) noexcept;

/// Somebody in another process may have to look again too: a timer that it shares has changed.
void tell_family() noexcept;

/// While the main thread is in `locked`: the mask that it will have again. Else all, so that the kernel is asked.
[[nodiscard]] signal_set truly_blocked_by_main() noexcept;

/// What the thread that holds the lock had blocked before it, and will have again. The engine's has all.
[[nodiscard]] signal_set blocked_by_caller() noexcept;

/// This process as it knows itself: a child of vfork(2) has the memory and another number.
[[nodiscard]] int own_pid() noexcept;
[[nodiscard]] bool is_vfork_child() noexcept;

// What each kind of timer does at its turn (timerfds.cpp, posix_timers.cpp, itimers.cpp).

void fire_timerfd(node& timer, nanoseconds now) noexcept;
void fire_posix_timer(node& timer, nanoseconds now) noexcept;
void fire_itimer(node& timer, nanoseconds now) noexcept;

/// Looks whether the clock was set (F10), and at timers that other processes have changed.
void look_at_shared_timerfds(nanoseconds realtime_offset) noexcept;
/// Whether somebody waits to hear that the clock was set.
[[nodiscard]] bool watches_clock() noexcept;

/// Whether there are any that the child will share.
bool before_fork_timerfds() noexcept;
void after_fork_timerfds() noexcept;
void after_fork_posix_timers() noexcept;
void after_fork_itimers() noexcept;
void adopt_itimers() noexcept;

}  // namespace preload
