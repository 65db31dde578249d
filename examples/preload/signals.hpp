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

/// Those that glibc keeps for itself: setuid(2) and its kind wait until each of its threads has taken theirs.
inline constexpr signal_set of_libc = just(32) | just(33);

/// Whether this thread has accepted a signal in a wait that it has left since, by pthread_cancel or siglongjmp, before the
/// timer heard of it.
[[nodiscard]] bool has_unheard() noexcept;

/// A signal on its way to the program.
struct arrival {
  int signo = 0;
  int code = 0;
  int timer_id = 0;
  int overrun = 0;
  bool is_for_thread =
      false;  // alone: it is not the process that accepts it (dequeue_signal() in signal.c)
};

// With the lock held.

/// A timer tells by this signal: from now on arrivals of it are seen.
void watch(int signo) noexcept;

/// Whether the signal, which is watched, would be discarded unless it is blocked: SIG_IGN, or by default.
[[nodiscard]] bool is_ignored(int signo) noexcept;

/// Whether there is any such signal.
[[nodiscard]] bool ignores_any() noexcept;

/// This thread is about to have the signals blocked that are in `mask`, where it had all while it held the lock. What has
/// come meanwhile and is ignored goes then: it never was in the queue.
void notice_ignored(signal_set mask) noexcept;

/// The timer hears of that now.
void hear() noexcept;

/// For the process: whoever accepts it, the main thread first, or one that runs (P13).
inline constexpr int to_process = 0, to_runner = -1;
enum class sent { queued, bare, ignored, failed };  // bare: as one of kill(2)
/// Queues a signal for one of these, or for the thread of that number.
sent queue(::siginfo_t info, int whom) noexcept;

/// One for the process may have to wait for the thread that holds the lock: it takes it along, and queues it when it has left
/// and has blocked again what it had. Its handler may run before this returns, or leave it by siglongjmp.
[[nodiscard]] ::siginfo_t take_for_caller() noexcept;
void tell_caller(::siginfo_t info) noexcept;

/// Whether there is one in the queue, of the process (0) or of a thread.
[[nodiscard]] bool is_pending(int signo, int tid) noexcept;

/// Takes those of a signal's queue out that `is_leftover`, and one that was sent bare, if there is one to take; as far
/// as this thread reaches.
void purge(int signo, bool (*is_leftover)(const arrival&), bool a_bare_one) noexcept;

/// An interval timer's signal that is pending when a program begins is that of the one which it replaced. (What POSIX
/// timers had in the queue ends with an exec by itself: flush_itimer_signals() in signal.c.)
void adopt() noexcept;

[[nodiscard]] arrival arrival_of(const ::siginfo_t& info) noexcept;

/// Whether it may have come without its siginfo. (A real-time one is refused instead: if it looks so, it is from outside the
/// namespace of processes.)
[[nodiscard]] bool was_lost(const ::siginfo_t& info) noexcept;

/// A signal has been accepted: makes of it what the program is to see. False: nothing, it is a
/// leftover.
[[nodiscard]] bool accept(::siginfo_t& info) noexcept;

/// In a child of fork(2): what was known of threads was of the parent's.
void after_fork() noexcept;

// What the timers do about it (posix_timers.cpp, itimers.cpp).

/// Whether the timer of that number tells one thread alone.
[[nodiscard]] bool tells_thread(int timer_id) noexcept;

/// A signal is accepted. False if it is a leftover, which nobody must see; else its overrun is set.
bool arrived_posix_timer(arrival& signal) noexcept;
void arrived_itimer(const arrival& signal) noexcept;
/// A signal that has lost its siginfo, as the kernel's queue was full, or was sent bare: gives it back that of a
/// timer which is pending, if there is one.
bool restore_posix_timer(::siginfo_t& info) noexcept;
bool restore_itimer(::siginfo_t& info) noexcept;
/// The same for one that tells this thread alone, whose signals the kernel takes first.
bool restore_own_posix_timer(::siginfo_t& info) noexcept;
/// Its notification has lost its place in the queue: it has to wait for another.
void hold_posix_timer(const arrival& signal) noexcept;
/// After that: what had to wait for its place in the queue goes in.
void queue_waiting(int signo) noexcept;

/// Notifications that were dropped where nobody could see it: the signal is ignored, was blocked when it came, and is
/// not any more. Before what the program has the signal do is changed.
void notice_dropped_posix_timers(int signo) noexcept;
void notice_dropped_itimers() noexcept;

/// A signal is ignored that has come for a thread (for the process, too, if that is the main one), or for anybody.
inline constexpr int every_thread = -1;
void now_ignored_posix_timers(int signo, int whom) noexcept;
void now_ignored_itimers(int signo) noexcept;
void no_longer_ignored_posix_timers(int signo) noexcept;

}  // namespace preload::signals
