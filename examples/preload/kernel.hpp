// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// System calls that never pass through a symbol of the C library, since those may be our own.
/// As the kernel gives it: a negative errno where it fails. errno itself is not touched.

#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <cerrno>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace preload {

using std::chrono::nanoseconds;

/// An argument as it goes into a register.
template <class T>
long word(T value) noexcept {
  if constexpr (std::is_pointer_v<T>)
    return reinterpret_cast<long>(value);
  else
    return static_cast<long>(value);
}
inline long word(std::nullptr_t) noexcept { return 0; }

inline long raw_call(long nr, long a, long b, long c, long d, long e, long f) noexcept {
#if defined(__x86_64__)
  long result = nr;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = nr;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
#else
#error "the preload example knows the system calls of x86-64 and of 64-bit Arm"
#endif
}

template <class A = long, class B = long, class C = long, class D = long, class E = long,
          class F = long>
long raw(long nr, A a = 0, B b = 0, C c = 0, D d = 0, E e = 0, F f = 0) noexcept {
  return raw_call(nr, word(a), word(b), word(c), word(d), word(e), word(f));
}

/// What a function of the C library returns for it: -1 and errno, or the result.
inline long to_libc(long result) noexcept {
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}

/// Copies memory of the program that may not be there. 0, or -EFAULT. (Of this thread: the main one may have ended.)
inline long copy_in(void* to, const void* from, std::size_t size) noexcept {
  ::iovec here{to, size};
  ::iovec there{const_cast<void*>(from), size};
  const long n = raw(SYS_process_vm_readv, raw(SYS_gettid), &here, 1, &there, 1, 0);
  if (n == word(size)) return 0;
  // Forbidden here (a seccomp filter): then a bad pointer is a crash, as in a function of libc's.
  if (n == -EPERM || n == -ENOSYS || n == -EACCES) return std::memcpy(to, from, size), 0;
  return -EFAULT;
}
inline long copy_out(void* to, const void* from, std::size_t size) noexcept {
  ::iovec here{const_cast<void*>(from), size};
  ::iovec there{to, size};
  const long n = raw(SYS_process_vm_writev, raw(SYS_gettid), &here, 1, &there, 1, 0);
  if (n == word(size)) return 0;
  if (n == -EPERM || n == -ENOSYS || n == -EACCES) return std::memcpy(to, from, size), 0;
  return -EFAULT;
}
template <class T>
long copy_in(T& to, const T* from) noexcept {
  return copy_in(&to, static_cast<const void*>(from), sizeof(T));
}
template <class T>
long copy_out(T* to, const T& from) noexcept {
  return copy_out(static_cast<void*>(to), &from, sizeof(T));
}

/// A set of signals as the kernel has it, bit n-1 for signal n.
using signal_set = std::uint64_t;
inline constexpr signal_set all_signals = ~signal_set{0};
constexpr signal_set just(int signo) noexcept { return signal_set{1} << (signo - 1); }

inline signal_set set_mask(int how, signal_set set) noexcept {
  signal_set old = 0;
  raw(SYS_rt_sigprocmask, how, &set, &old, sizeof set);
  return old;
}

/// The signals pending for this thread and for the process.
inline signal_set pending_signals() noexcept {
  signal_set set = 0;
  raw(SYS_rt_sigpending, &set, sizeof set);
  return set;
}

}  // namespace preload
