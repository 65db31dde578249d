// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// SIGEV_THREAD: what libc makes of it. A thread of libc's, started with the first such timer, starts one for each
/// notification; they have from it what it has from its maker.

#include <pthread.h>
#include <signal.h>

namespace preload {

struct thread_start {
  void (*function)(::sigval) = nullptr;
  ::sigval value{};
  ::pthread_attr_t how;
};

/// The attributes that the program gave, for threads that nobody joins.
void copy_attributes(::pthread_attr_t& to, const ::pthread_attr_t* from) noexcept;

/// Without the lock, as libc's memory is needed. False if there is no thread to be had.
bool have_notification_thread() noexcept;

/// There is something to start, see next_to_start().
void ring_notification_thread() noexcept;

/// The next notification (posix_timers.cpp); the caller destroys its attributes. False if there is none.
enum class next { none, dropped, start };
next next_to_start(thread_start& out) noexcept;

}  // namespace preload
