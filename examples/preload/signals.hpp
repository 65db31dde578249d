// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// How timers tell by signals, and how it is seen that a signal was accepted: by a handler, by
/// sigwait and its kind, by a read of a signalfd. Only then the overrun is fixed (P5).
///
///     timer expires -> queue(): rt_sigqueueinfo(2) to oneself, with the notification's sequence
///                      where the overrun will be
///     accepted      -> arrived(): asks the timer, puts the overrun in; false: it is a leftover
///
/// From the first timer of a signal on, its handler is called by one of ours.

#include "kernel.hpp"

namespace preload::signals {

/// A signal on its way to the program.
struct arrival {
  int signo = 0;
  int code = 0;
  int timer_id = 0;
  int overrun = 0;
};

// With the lock held.

/// A timer tells by this signal: from now on arrivals of it are seen.
void watch(int signo) noexcept;

/// Whether the signal would be discarded unless it is blocked: SIG_IGN, or by default.
[[nodiscard]] bool is_ignored(int signo) noexcept;

enum class sent { queued, ignored, failed };
/// Queues a signal for the process, or for one of its threads if `tid` is not 0.
sent queue(::siginfo_t info, int tid) noexcept;

/// Takes those of a signal's queue out that `is_leftover`, as far as this thread reaches.
void purge(int signo, bool (*is_leftover)(const arrival&)) noexcept;

/// A thread that runs now and does not block the signal, 0 if nobody knows of one: that is whom the
/// kernel tells of CPU time (P13).
[[nodiscard]] int running_thread(int signo) noexcept;

/// An interval timer's signal that is pending when a program begins is that of the one which it replaced. (What POSIX
/// timers had in the queue ends with an exec by itself: flush_itimer_signals() in signal.c.)
void adopt() noexcept;

[[nodiscard]] arrival arrival_of(const ::siginfo_t& info) noexcept;

// What the timers do about it (posix_timers.cpp, itimers.cpp).

/// A signal is accepted. False if it is a leftover, which nobody must see; else its overrun is set.
bool arrived_posix_timer(arrival& signal) noexcept;
void arrived_itimer(const arrival& signal) noexcept;
/// A signal that has lost its siginfo, as the kernel's queue was full: gives it back that of a timer
/// which is pending, if there is one.
bool restore_posix_timer(::siginfo_t& info) noexcept;
bool restore_itimer(::siginfo_t& info) noexcept;
/// After that: what had to wait for its place in the queue goes in.
void queue_waiting(int signo) noexcept;

/// What the program has the signal do has changed.
void now_ignored_posix_timers(int signo) noexcept;
void now_ignored_itimers(int signo) noexcept;
void no_longer_ignored_posix_timers(int signo) noexcept;

}  // namespace preload::signals
