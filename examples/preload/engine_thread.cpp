// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "engine_thread.hpp"

#include "memory.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>

// libc's own, past our symbol of the name without underscores (fork.cpp).
extern "C" int __clone(int (*run)(void*), void* stack, int flags, void* argument, ...) noexcept;

namespace preload::engine_thread {
namespace {

// One after the other: a guard, the stack, and what libc keeps of a thread. That is all zero, and without the variables
// of the program and its libraries, of which there may be megabytes.
constexpr std::size_t guard_size = 4096;
constexpr std::size_t stack_size = std::size_t{256} * 1024;
constexpr std::size_t record_size = std::size_t{8} * 1024;
constexpr std::size_t size = guard_size + stack_size + record_size;

constinit std::byte* memory = nullptr;
constinit std::atomic<int> number = 0;  // the kernel's to clear

/// The thread pointer: libc's record begins (x86-64) or ends (Arm) there.
void* thread_pointer() noexcept {
  std::byte* const at = memory + guard_size + stack_size + record_size / 2;
#if defined(__x86_64__)
  // tcbhead_t (sysdeps/x86_64/nptl/tls.h in glibc): it is found through itself.
  void* const self = at;
  std::memcpy(at, &self, sizeof self);
  std::memcpy(at + 2 * sizeof self, &self, sizeof self);
#endif
  return at;
}

}  // namespace

long start(int (*run)(void*)) noexcept {
  if (memory == nullptr) {
    memory = static_cast<std::byte*>(map_pages(size));
    if (memory == nullptr) return -ENOMEM;
    raw(SYS_mprotect, memory, guard_size, PROT_NONE);
  }
  constexpr int as_a_thread =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  constexpr int with = CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  const int saved = errno;
  auto* const where = reinterpret_cast<int*>(&number);
  const int tid = __clone(run, memory + guard_size + stack_size, as_a_thread | with, nullptr, where,
                          thread_pointer(), where);
  const long result = tid < 0 ? -errno : 0;
  errno = saved;
  return result;
}

int tid() noexcept { return number.load(std::memory_order_acquire); }

void join() noexcept {
  while (const int still = tid()) raw(SYS_futex, &number, FUTEX_WAIT, still, nullptr);
  raw(SYS_futex, &number, FUTEX_WAKE, 0x7fffffff);  // the kernel wakes one
}

void forget() noexcept { number = 0; }

bool is_beside_one() noexcept {
  if (tid() == 0) return false;
  struct ::stat task{};  // its folder has a link for each, and two of its own
  return raw(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &task, 0) == 0 && task.st_nlink <= 4;
}

}  // namespace preload::engine_thread
