// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The system calls as the engine answers them: a negative errno where the kernel would give one.
/// Both the functions of libc and syscall() come here.

#include "kernel.hpp"

#include <sys/time.h>
#include <sys/timerfd.h>

namespace preload::sys {

// timerfds.cpp
long timerfd_create(int clock, int flags) noexcept;
long timerfd_settime(int fd, int flags, const ::itimerspec* to, ::itimerspec* old) noexcept;
long timerfd_gettime(int fd, ::itimerspec* out) noexcept;
long ioctl(int fd, unsigned long request, long argument) noexcept;

// reads.cpp
[[nodiscard]] bool is_timer(int fd) noexcept;
long read(int fd, void* to, std::size_t size) noexcept;
long readv(int fd, const ::iovec* parts, long count) noexcept;
long seek(int fd, int whence) noexcept;
long positioned(const char* call, int fd, long at) noexcept;
long preadv2(int fd, const ::iovec* parts, long count, long at, int flags) noexcept;
long pwritev2(int fd, long at) noexcept;
long write(const char* call, int fd) noexcept;

// descriptors.cpp
[[nodiscard]] bool is_ours(int fd) noexcept;
long close(int fd) noexcept;
long dup(int fd) noexcept;
long dup2(int fd, int to) noexcept;
long dup3(const char* call, int fd, int to, int flags) noexcept;
long fcntl(int fd, int command, long argument) noexcept;
long close_range(unsigned first, unsigned last, unsigned flags) noexcept;
long signalfd4(int fd, const void* set, std::size_t size, int flags) noexcept;

// posix_timers.cpp; `event` is the kernel's struct sigevent, which is libc's
long timer_create(int clock, const ::sigevent* event, int* id) noexcept;
long timer_settime(int id, int flags, const ::itimerspec* to, ::itimerspec* old) noexcept;
long timer_gettime(int id, ::itimerspec* out) noexcept;
long timer_getoverrun(int id) noexcept;
long timer_delete(int id) noexcept;

// itimers.cpp
long setitimer(int which, const ::itimerval* to, ::itimerval* old) noexcept;
long getitimer(int which, ::itimerval* out) noexcept;
long alarm(unsigned seconds) noexcept;

// fork.cpp
[[nodiscard]] bool makes_child(long nr, long a, long b) noexcept;
long make_child(long nr, long a, long b, long c, long d, long e) noexcept;
/// Before exit(2) of a thread: ends the process where only the engine's would be left of it.
void end_thread(int status) noexcept;
long unshare(int what) noexcept;
long setns(int fd, int what) noexcept;

// signals.cpp; the kernel's types
long rt_sigaction(int signo, const void* to, void* old, std::size_t size) noexcept;
long rt_sigprocmask(int how, const void* set, void* old, std::size_t size) noexcept;
long rt_sigtimedwait(const void* set, void* info, const ::timespec* timeout,
                     std::size_t size) noexcept;

}  // namespace preload::sys
