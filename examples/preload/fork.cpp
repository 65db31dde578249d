// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The ways to make a child with a copy of this memory that no handler of pthread_atfork sees; and what a thread does to
// itself, or libc to all threads that it knows, which the engine's is to follow.

#include "engine_thread.hpp"
#include "memory.hpp"
#include "process.hpp"
#include "symbol.hpp"
#include "sys.hpp"

#include <grp.h>
#include <sched.h>
#include <unistd.h>
#include <climits>

namespace preload {
namespace {

template <class Fork>
long seen(Fork fork) noexcept {
  before_fork();
  const long result = fork();
  result == 0 ? after_fork_in_child() : after_fork_in_parent();
  return result;
}

/// struct clone_args (linux/sched.h), as much of it as matters.
struct clone_arguments {
  std::uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack;
};

}  // namespace

namespace sys {

bool makes_child(long nr, long a, long b) noexcept {
#if defined(SYS_fork)
  if (nr == SYS_fork) return true;
#endif
  // On a stack of its own it would return from functions that have never been called there.
  if (nr == SYS_clone) return (a & CLONE_VM) == 0 && b == 0;
  clone_arguments wanted{};
  return b >= word(sizeof wanted) &&
         copy_in(&wanted, reinterpret_cast<void*>(a), sizeof wanted) == 0 &&
         (wanted.flags & CLONE_VM) == 0 && wanted.stack == 0;
}

void end_thread(int status) noexcept {
  if (engine_thread::is_beside_one() && !is_vfork_child()) raw(SYS_exit_group, status);
}

long make_child(long nr, long a, long b, long c, long d, long e) noexcept {
  return seen([=] { return raw(nr, a, b, c, d, e); });
}

long unshare(int what) noexcept {
  // After these no thread can be made, until somebody forks.
  constexpr int of_children = CLONE_NEWPID | CLONE_NEWTIME;
  // With the engine's thread the process is not one of a single thread. And its files are to be the caller's: else it
  // would write to the old ones.
  constexpr int of_one_thread = CLONE_NEWUSER | CLONE_NEWNS | CLONE_FS | CLONE_FILES | CLONE_VM |
                                CLONE_SIGHAND | CLONE_THREAD;
  if ((what & of_one_thread) != 0) {
    const engine_pause without;
    const long result = raw(SYS_unshare, what & ~of_children);
    if (result != 0 || (what & of_children) == 0) return result;
  }
  if ((what & of_children) != 0) keep_engine();
  return raw(SYS_unshare, what & ~of_one_thread);
}

long setns(int fd, int what) noexcept {
  if (what == CLONE_NEWPID || what == CLONE_NEWTIME) {
    keep_engine();
    return raw(SYS_setns, fd, what);
  }
  const engine_pause without;
  return raw(SYS_setns, fd, what);
}

}  // namespace sys
}  // namespace preload

using namespace preload;

PRELOAD_EXPORT(::pid_t, _Fork, void) {
  return static_cast<::pid_t>(seen([] { return PRELOAD_NEXT(_Fork)(); }));
}

PRELOAD_EXPORT(int, clone, int (*run)(void*), void* stack, int flags, void* argument,
               ::pid_t* parent_tid, void* thread_pointer, ::pid_t* child_tid) {
  struct start {
    int (*run)(void*);
    void* argument;
  };
  const auto begin = [](void* given) {
    const start own = *static_cast<start*>(given);
    after_fork_in_child();
    const int status = own.run(own.argument);
    sys::end_thread(status);
    return status;
  };
  if ((flags & CLONE_VM) != 0 || run == nullptr || stack == nullptr)
    return PRELOAD_NEXT(clone)(run, stack, flags, argument, parent_tid, thread_pointer, child_tid);
  start its{run, argument};
  return static_cast<int>(seen([&] {
    return PRELOAD_NEXT(clone)(begin, stack, flags, &its, parent_tid, thread_pointer, child_tid);
  }));
}

PRELOAD_EXPORT(int, unshare, int what) { return static_cast<int>(to_libc(sys::unshare(what))); }
PRELOAD_EXPORT(int, setns, int fd, int what) {
  return static_cast<int>(to_libc(sys::setns(fd, what)));
}

// set*id(2). The engine's thread must not keep what a program gives up.
#define PRELOAD_CREDENTIALS(symbol, parameters, ...)     \
  PRELOAD_EXPORT(int, symbol, PRELOAD_LIST parameters) { \
    const engine_pause without;                          \
    return PRELOAD_NEXT(symbol)(__VA_ARGS__);            \
  }
#define PRELOAD_LIST(...) __VA_ARGS__
PRELOAD_CREDENTIALS(setuid, (::uid_t a), a)
PRELOAD_CREDENTIALS(setgid, (::gid_t a), a)
PRELOAD_CREDENTIALS(seteuid, (::uid_t a), a)
PRELOAD_CREDENTIALS(setegid, (::gid_t a), a)
PRELOAD_CREDENTIALS(setreuid, (::uid_t a, ::uid_t b), a, b)
PRELOAD_CREDENTIALS(setregid, (::gid_t a, ::gid_t b), a, b)
PRELOAD_CREDENTIALS(setresuid, (::uid_t a, ::uid_t b, ::uid_t c), a, b, c)
PRELOAD_CREDENTIALS(setresgid, (::gid_t a, ::gid_t b, ::gid_t c), a, b, c)
PRELOAD_CREDENTIALS(setgroups, (std::size_t n, const ::gid_t* groups), n, groups)

// It may ask the network whose groups those are: not while timers stand still.
PRELOAD_EXPORT(int, initgroups, const char* user, ::gid_t group) {
  int count = NGROUPS_MAX;
  const std::size_t size = sizeof(::gid_t) * NGROUPS_MAX;
  auto* const groups = static_cast<::gid_t*>(map_pages(size));
  if (groups == nullptr) return static_cast<int>(to_libc(-ENOMEM));
  const bool are_known = ::getgrouplist(user, group, groups, &count) >= 0;
  const int result = are_known ? preload_setgroups(static_cast<std::size_t>(count), groups)
                               : static_cast<int>(to_libc(-EINVAL));
  raw(SYS_munmap, groups, size);
  return result;
}
