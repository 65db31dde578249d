// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The engine's thread. It is none of libc's: pthread_create allocates, and a program's first timer may be armed in a
/// handler that has interrupted malloc. Nor is a program of one thread one of several by it, to libc: fork() takes no
/// locks, and a pthread_exit of the last thread ends it.
///
/// So whatever runs on it must do without thread-local variables: without errno, libc's mutexes, malloc.

#include <sys/types.h>

namespace preload::engine_thread {

/// Starts it with all signals blocked, as they are in the caller. 0, or a negative errno. One at a time.
long start(int (*run)(void*)) noexcept;

/// Its number; 0 if there is none.
[[nodiscard]] int tid() noexcept;

/// Waits until it has returned from `run`.
void join() noexcept;

/// In a child of fork(2): there is none.
void forget() noexcept;

/// Whether it runs, and the process has but one thread beside it.
[[nodiscard]] bool is_beside_one() noexcept;

}  // namespace preload::engine_thread
