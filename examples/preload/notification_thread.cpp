// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "notification_thread.hpp"

#include "kernel.hpp"
#include "signals.hpp"

#include <linux/futex.h>

#include <atomic>
#include <cstdlib>

namespace preload {
namespace {

constinit std::atomic<std::uint32_t> bell = 0;
constinit std::atomic<int> started_by = 0;  // the process that has it

void start(const thread_start& what) noexcept {
  auto* const handed = static_cast<thread_start*>(std::malloc(sizeof what));
  if (handed == nullptr) return;
  *handed = what;
  const auto run = [](void* given) -> void* {
    const thread_start mine = *static_cast<thread_start*>(given);
    std::free(given);
    mine.function(mine.value);
    return nullptr;
  };
  ::pthread_t thread{};
  if (::pthread_create(&thread, &what.how, run, handed) != 0) std::free(handed);
}

void* serve(void*) noexcept {
  for (;;) {
    const std::uint32_t seen = bell.load(std::memory_order_acquire);
    thread_start what;
    switch (next_to_start(what)) {
      case next::start:
        start(what);
        ::pthread_attr_destroy(&what.how);
        [[fallthrough]];
      case next::dropped: continue;
      case next::none: raw(SYS_futex, &bell, FUTEX_WAIT_PRIVATE, seen, nullptr);
    }
  }
}

}  // namespace

void copy_attributes(::pthread_attr_t& to, const ::pthread_attr_t* from) noexcept {
  ::pthread_attr_init(&to);
  if (from != nullptr) {
    int n = 0;
    std::size_t size = 0;
    void* stack = nullptr;
    ::sched_param priority{};
    if (::pthread_attr_getinheritsched(from, &n) == 0) ::pthread_attr_setinheritsched(&to, n);
    if (::pthread_attr_getschedpolicy(from, &n) == 0) ::pthread_attr_setschedpolicy(&to, n);
    if (::pthread_attr_getschedparam(from, &priority) == 0)
      ::pthread_attr_setschedparam(&to, &priority);
    if (::pthread_attr_getscope(from, &n) == 0) ::pthread_attr_setscope(&to, n);
    if (::pthread_attr_getguardsize(from, &size) == 0) ::pthread_attr_setguardsize(&to, size);
    if (::pthread_attr_getstack(from, &stack, &size) == 0 && size != 0) {
      // Without a stack of its own, what it says is where one would end: below its size.
      if (reinterpret_cast<std::uintptr_t>(stack) + size != 0)
        ::pthread_attr_setstack(&to, stack, size);
      else
        ::pthread_attr_setstacksize(&to, size);
    }
  }
  ::pthread_attr_setdetachstate(&to, PTHREAD_CREATE_DETACHED);
}

bool have_notification_thread() noexcept {
  // (It may be a child that nobody has noticed yet.)
  const int self = static_cast<int>(raw(SYS_getpid));
  int owner = started_by.load();
  if (owner == self || !started_by.compare_exchange_strong(owner, self)) return true;
  ::pthread_attr_t how;
  ::pthread_attr_init(&how);
  ::pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  const signal_set mask = set_mask(SIG_BLOCK, all_signals & ~signals::of_libc);
  ::pthread_t thread{};
  const bool is_there = ::pthread_create(&thread, &how, serve, nullptr) == 0;
  set_mask(SIG_SETMASK, mask);
  ::pthread_attr_destroy(&how);
  if (!is_there) started_by = 0;
  return is_there;
}

void ring_notification_thread() noexcept {
  bell.fetch_add(1, std::memory_order_release);
  raw(SYS_futex, &bell, FUTEX_WAKE_PRIVATE, 1);
}

}  // namespace preload
