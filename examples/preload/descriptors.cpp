// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "descriptors.hpp"

#include "memory.hpp"
#include "process.hpp"
#include "symbol.hpp"
#include "timerfds.hpp"
#include "trace.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <cstdarg>

#include <algorithm>
#include <atomic>
#include <cstdio>

namespace preload {
namespace descriptors {
namespace {

// By number, in two levels: 1024 blocks of 1024, as many as a process can have (fs.nr_open).
constexpr int block_size = 1024;
constexpr int blocks = 1024;
using entry = std::atomic<std::uintptr_t>;
constinit std::atomic<entry*> table[blocks]{};
constinit std::atomic<bool> is_used = false;
constexpr std::uintptr_t signalfd_mark = 1;

entry* entry_of(int fd) noexcept {
  if (fd < 0 || fd >= block_size * blocks) return nullptr;
  entry* const block = table[fd / block_size].load(std::memory_order_acquire);
  return block == nullptr ? nullptr : block + fd % block_size;
}

void set(int fd, std::uintptr_t what) noexcept {
  if (fd < 0 || fd >= block_size * blocks) return;
  auto& block = table[fd / block_size];
  if (block.load() == nullptr) {
    auto* const fresh = static_cast<entry*>(map_pages(sizeof(entry) * block_size));
    if (fresh == nullptr) return;
    block.store(fresh, std::memory_order_release);
  }
  is_used = true;
  entry_of(fd)->store(what, std::memory_order_release);
}

}  // namespace

bool any() noexcept { return is_used.load(std::memory_order_relaxed); }

meaning find(int fd) noexcept {
  const entry* const e = entry_of(fd);
  if (e == nullptr) return {};
  const std::uintptr_t what = e->load(std::memory_order_acquire);
  if (what == 0) return {};
  if (what == signalfd_mark) return {nullptr, true};
  return {reinterpret_cast<timerfd*>(what), false};
}

void set_timer(int fd, timerfd& timer) noexcept {
  forget(fd);  // closed behind our back, by a function inside libc
  timer.descriptors += 1;
  if (timer.fd < 0) timer.fd = fd;
  set(fd, reinterpret_cast<std::uintptr_t>(&timer));
}

void set_signalfd(int fd) noexcept {
  forget(fd);
  set(fd, signalfd_mark);
}

void forget(int fd) noexcept {
  const meaning was = find(fd);
  if (was.timer == nullptr && !was.is_signalfd) return;
  entry_of(fd)->store(0, std::memory_order_release);
  if (was.timer == nullptr) return;
  timerfd& timer = *was.timer;
  if (--timer.descriptors == 0)
    destroy(timer);
  else if (timer.fd == fd)
    timer.fd = of(timer);
}

int of(const timerfd& timer) noexcept {
  for (int b = 0; b < blocks; ++b) {
    if (table[b].load() == nullptr) continue;
    for (int fd = b * block_size; fd < (b + 1) * block_size; ++fd)
      if (find(fd).timer == &timer) return fd;
  }
  return -1;
}

namespace {

/// `copy` is a new descriptor of what `fd` is.
void copied(int fd, int copy) noexcept {
  const meaning what = find(fd);
  if (what.timer != nullptr)
    set_timer(copy, *what.timer);
  else if (what.is_signalfd)
    set_signalfd(copy);
  else
    forget(copy);
}

bool is_ours(int fd) noexcept {
  const meaning what = find(fd);
  return what.timer != nullptr || what.is_signalfd;
}

/// Forgets all in a range before they are closed: afterwards another thread may have one of those
/// numbers.
void forget_range(unsigned first, unsigned last) noexcept {
  if (!any()) return;
  constexpr unsigned end = block_size * blocks;
  for (unsigned fd = first; fd <= last && fd < end; ++fd) {
    if (table[fd / block_size].load() == nullptr) {
      fd |= block_size - 1;
      continue;
    }
    forget(static_cast<int>(fd));
  }
}

}  // namespace
}  // namespace descriptors

namespace sys {

using namespace descriptors;

long close(int fd) noexcept {
  if (!is_ours(fd) || is_vfork_child()) return raw(SYS_close, fd);
  locked all;
  forget(fd);
  return traced("close", raw(SYS_close, fd), fd);
}

long dup(int fd) noexcept {
  if (!is_ours(fd) || is_vfork_child()) return raw(SYS_dup, fd);
  locked all;
  const long copy = raw(SYS_dup, fd);
  if (copy >= 0) copied(fd, static_cast<int>(copy));
  return traced("dup", copy, fd);
}

long dup3(const char* call, int fd, int to, int flags) noexcept {
  const auto plain = [&] { return raw(SYS_dup3, fd, to, flags); };
  if ((!is_ours(fd) && !is_ours(to)) || is_vfork_child()) return plain();
  locked all;
  // A refused one leaves `to` open, so ask first, with the arguments that are refused.
  if (fd == to || (flags & ~O_CLOEXEC) != 0 || raw(SYS_fcntl, fd, F_GETFD) < 0) return plain();
  const long copy = plain();
  if (copy >= 0) copied(fd, to);
  return traced(call, copy, fd, to, flags);
}

long dup2(int fd, int to) noexcept {
  if (fd == to) {
    const long open = raw(SYS_fcntl, fd, F_GETFD);
    return open < 0 ? open : fd;
  }
  return dup3("dup2", fd, to, 0);
}

long fcntl(int fd, int command, long argument) noexcept {
  // Without the lock where it may wait (F_SETLKW), and where what it makes is another process's.
  const bool copies = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
  if (!copies || is_vfork_child())
    return traced("fcntl", raw(SYS_fcntl, fd, command, argument), fd, command, argument);
  locked all;
  const long result = raw(SYS_fcntl, fd, command, argument);
  if (result >= 0) copied(fd, static_cast<int>(result));
  return traced("fcntl", result, fd, command, argument);
}

long close_range(unsigned first, unsigned last, unsigned flags) noexcept {
  if (!any() || first > last || (flags & ~unsigned{CLOSE_RANGE_UNSHARE}) != 0 || is_vfork_child())
    return raw(SYS_close_range, first, last, flags);
  const auto close_all = [&] {
    const locked all;
    forget_range(first, last);
    return raw(SYS_close_range, first, last, flags);
  };
  if ((flags & CLOSE_RANGE_UNSHARE) == 0) return close_all();
  const engine_pause without;
  return close_all();
}

long signalfd4(int fd, const void* set, std::size_t size, int flags) noexcept {
  const long result = raw(SYS_signalfd4, fd, set, size, flags);
  if (result >= 0 && fd == -1 && !is_vfork_child()) {
    locked all;
    set_signalfd(static_cast<int>(result));
  }
  return result;
}

bool is_ours(int fd) noexcept { return descriptors::is_ours(fd); }

/// libc is about to close it, by itself.
void closes(int fd) noexcept {
  if (!is_ours(fd) || is_vfork_child()) return;
  locked all;
  forget(fd);
}

}  // namespace sys
}  // namespace preload

using namespace preload;

PRELOAD_EXPORT(int, close, int fd) {
  if (!sys::is_ours(fd)) return PRELOAD_NEXT(close)(fd);
  ::pthread_testcancel();
  return static_cast<int>(to_libc(sys::close(fd)));
}
PRELOAD_EXPORT(int, fclose, std::FILE* stream) {
  sys::closes(::fileno(stream));
  return PRELOAD_NEXT(fclose)(stream);
}
PRELOAD_EXPORT(int, dup, int fd) { return static_cast<int>(to_libc(sys::dup(fd))); }
PRELOAD_EXPORT(int, dup2, int fd, int to) { return static_cast<int>(to_libc(sys::dup2(fd, to))); }
PRELOAD_EXPORT(int, dup3, int fd, int to, int flags) {
  return static_cast<int>(to_libc(sys::dup3("dup3", fd, to, flags)));
}
namespace {
bool may_wait(int command) noexcept { return command == F_SETLKW || command == F_OFD_SETLKW; }
}  // namespace
// The third argument may not be there. Then its register holds something, which the kernel ignores.
PRELOAD_EXPORT(int, fcntl, int fd, int command, long argument) {
  if (!sys::is_ours(fd) || may_wait(command)) return PRELOAD_NEXT(fcntl)(fd, command, argument);
  return static_cast<int>(to_libc(sys::fcntl(fd, command, argument)));
}
PRELOAD_EXPORT(int, fcntl64, int fd, int command, long argument) {
  if (!sys::is_ours(fd) || may_wait(command)) return PRELOAD_NEXT(fcntl64)(fd, command, argument);
  return static_cast<int>(to_libc(sys::fcntl(fd, command, argument)));
}
PRELOAD_EXPORT(int, close_range, unsigned first, unsigned last, int flags) {
  return static_cast<int>(to_libc(sys::close_range(first, last, static_cast<unsigned>(flags))));
}
PRELOAD_EXPORT(void, closefrom, int first) {
  if (descriptors::any())
    sys::close_range(static_cast<unsigned>(std::max(first, 0)), ~0U, 0);
  else
    PRELOAD_NEXT(closefrom)(first);
}
PRELOAD_EXPORT(int, signalfd, int fd, const ::sigset_t* set, int flags) {
  return static_cast<int>(to_libc(sys::signalfd4(fd, set, sizeof(signal_set), flags)));
}
