// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "reads.hpp"

#include "descriptors.hpp"
#include "memory.hpp"
#include "symbol.hpp"
#include "sys.hpp"
#include "trace.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>
#include <climits>

#include <algorithm>
#include <iterator>

namespace preload {
namespace {

long read_ours(int fd, std::size_t size, wait_as how, const deliver& to) noexcept {
  return descriptors::find(fd).is_signalfd ? read_signalfd(fd, size, how, to)
                                           : read_timerfd(fd, size, how, to);
}

/// Whether memory can be there at all: access_ok() in asm/uaccess.h, which comes before the read.
bool is_below_kernel(const void* at, std::size_t size) noexcept {
  constexpr std::uintptr_t end = (std::uintptr_t{1} << 47) - 4096;
  const auto begin = reinterpret_cast<std::uintptr_t>(at);
  return begin <= end && size <= end - begin;
}

long read_one(int fd, void* to, std::size_t size, wait_as how) noexcept {
  if (!is_below_kernel(to, size)) return -EFAULT;
  const ::iovec part{to, size};
  return read_ours(fd, size, how, {&part, 1});
}

long read_parts(int fd, const ::iovec* from, long count, wait_as how) noexcept {
  if (count < 0 || count > IOV_MAX) return -EINVAL;
  const auto n = static_cast<std::size_t>(count);
  // A thread's stack may be small.
  ::iovec few[16];
  const bool are_many = n > std::size(few);
  auto* const parts = are_many ? static_cast<::iovec*>(map_pages(sizeof(::iovec) * IOV_MAX)) : few;
  if (parts == nullptr) return -ENOMEM;
  const auto result = [&]() -> long {
    if (n > 0 && copy_in(parts, from, n * sizeof(::iovec)) != 0) return -EFAULT;
    std::size_t size = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (word(parts[i].iov_len) < 0) return -EINVAL;
      if (!is_below_kernel(parts[i].iov_base, parts[i].iov_len)) return -EFAULT;
      size += parts[i].iov_len;
    }
    if (size == 0) return 0;
    return read_ours(fd, size, how, {parts, n});
  }();
  if (are_many) raw(SYS_munmap, parts, sizeof(::iovec) * IOV_MAX);
  return result;
}

bool is_timer(int fd) noexcept { return descriptors::find(fd).timer != nullptr; }
bool is_ours(int fd) noexcept {
  const auto what = descriptors::find(fd);
  return what.timer != nullptr || what.is_signalfd;
}

}  // namespace

namespace sys {

long read(int fd, void* to, std::size_t size) noexcept {
  if (!is_ours(fd)) return raw(SYS_read, fd, to, size);
  return traced("read", read_one(fd, to, size, wait_as::system_call), fd,
                static_cast<const void*>(to), size);
}
long readv(int fd, const ::iovec* parts, long count) noexcept {
  if (!is_ours(fd)) return raw(SYS_readv, fd, parts, count);
  return traced("readv", read_parts(fd, parts, count, wait_as::system_call), fd,
                static_cast<const void*>(parts), count);
}
long seek(int fd, int whence) noexcept {
  const bool is_known = whence >= SEEK_SET && whence <= SEEK_HOLE;
  return traced("lseek", is_known ? 0 : -EINVAL, fd);
}
long positioned(const char* call, int fd, long at) noexcept {
  return traced(call, at < 0 ? -EINVAL : -ESPIPE, fd);
}
long preadv2(int fd, const ::iovec* parts, long count, long at, int flags) noexcept {
  if (at != -1 && is_timer(fd)) return positioned("preadv2", fd, at);
  if (at != -1) return raw(SYS_preadv2, fd, parts, count, at, at >> 63, flags);
  // Those that read(2) of a timer takes; they mean nothing to it, but for the first. Of others the kernel says what is wrong.
  constexpr int append = RWF_APPEND, no_append = 0x20, no_signal = 0x100;  // (linux/fs.h)
  constexpr int taken =
      RWF_NOWAIT | RWF_HIPRI | RWF_DSYNC | RWF_SYNC | append | no_append | no_signal;
  const bool is_contrary = (flags & append) != 0 && (flags & no_append) != 0;
  if ((flags & ~taken) != 0 || is_contrary)
    return raw(SYS_preadv2, fd, parts, count, -1, -1, flags);
  const auto how = (flags & RWF_NOWAIT) != 0 ? wait_as::not_at_all : wait_as::system_call;
  return traced("preadv2", read_parts(fd, parts, count, how), fd, static_cast<const void*>(parts),
                count);
}
long pwritev2(int fd, long at) noexcept {
  return at == -1 ? write("pwritev2", fd) : positioned("pwritev2", fd, at);
}
long write(const char* call, int fd) noexcept { return traced(call, -EINVAL, fd); }

bool is_timer(int fd) noexcept { return preload::is_timer(fd); }

}  // namespace sys
}  // namespace preload

using namespace preload;

PRELOAD_EXPORT(::ssize_t, read, int fd, void* to, std::size_t size) {
  if (!is_ours(fd)) return PRELOAD_NEXT(read)(fd, to, size);
  ::pthread_testcancel();  // also where it would not wait
  return to_libc(traced("read", read_one(fd, to, size, wait_as::cancellation_point), fd,
                        static_cast<const void*>(to), size));
}
PRELOAD_EXPORT(::ssize_t, __read_chk, int fd, void* to, std::size_t size, std::size_t room) {
  if (!is_ours(fd) || size > room) return PRELOAD_NEXT(__read_chk)(fd, to, size, room);
  return preload_read(fd, to, size);
}
PRELOAD_EXPORT(::ssize_t, readv, int fd, const ::iovec* parts, int count) {
  if (!is_ours(fd)) return PRELOAD_NEXT(readv)(fd, parts, count);
  ::pthread_testcancel();
  return to_libc(traced("readv", read_parts(fd, parts, count, wait_as::cancellation_point), fd,
                        static_cast<const void*>(parts), count));
}

// Positions mean nothing to a timer: those that name one are refused, those that name none are not.
#define PRELOAD_POSITIONED(symbol, ...)                        \
  if (!is_timer(fd)) return PRELOAD_NEXT(symbol)(__VA_ARGS__); \
  ::pthread_testcancel();                                      \
  return to_libc(sys::positioned(#symbol, fd, at))

PRELOAD_EXPORT(::ssize_t, pread, int fd, void* to, std::size_t size, long at) {
  PRELOAD_POSITIONED(pread, fd, to, size, at);
}
PRELOAD_EXPORT(::ssize_t, pread64, int fd, void* to, std::size_t size, long at) {
  PRELOAD_POSITIONED(pread64, fd, to, size, at);
}
PRELOAD_EXPORT(::ssize_t, __pread_chk, int fd, void* to, std::size_t size, long at,
               std::size_t room) {
  PRELOAD_POSITIONED(__pread_chk, fd, to, size, at, room);
}
PRELOAD_EXPORT(::ssize_t, __pread64_chk, int fd, void* to, std::size_t size, long at,
               std::size_t room) {
  PRELOAD_POSITIONED(__pread64_chk, fd, to, size, at, room);
}
PRELOAD_EXPORT(::ssize_t, pwrite, int fd, const void* from, std::size_t size, long at) {
  PRELOAD_POSITIONED(pwrite, fd, from, size, at);
}
PRELOAD_EXPORT(::ssize_t, pwrite64, int fd, const void* from, std::size_t size, long at) {
  PRELOAD_POSITIONED(pwrite64, fd, from, size, at);
}
PRELOAD_EXPORT(::ssize_t, preadv, int fd, const ::iovec* parts, int count, long at) {
  PRELOAD_POSITIONED(preadv, fd, parts, count, at);
}
PRELOAD_EXPORT(::ssize_t, preadv64, int fd, const ::iovec* parts, int count, long at) {
  PRELOAD_POSITIONED(preadv64, fd, parts, count, at);
}
PRELOAD_EXPORT(::ssize_t, pwritev, int fd, const ::iovec* parts, int count, long at) {
  PRELOAD_POSITIONED(pwritev, fd, parts, count, at);
}
PRELOAD_EXPORT(::ssize_t, pwritev64, int fd, const ::iovec* parts, int count, long at) {
  PRELOAD_POSITIONED(pwritev64, fd, parts, count, at);
}
PRELOAD_EXPORT(::ssize_t, preadv2, int fd, const ::iovec* parts, int count, long at, int flags) {
  if (!is_ours(fd)) return PRELOAD_NEXT(preadv2)(fd, parts, count, at, flags);
  ::pthread_testcancel();
  return to_libc(sys::preadv2(fd, parts, count, at, flags));
}
PRELOAD_EXPORT(::ssize_t, preadv64v2, int fd, const ::iovec* parts, int count, long at, int flags) {
  return preload_preadv2(fd, parts, count, at, flags);
}
PRELOAD_EXPORT(::ssize_t, pwritev2, int fd, const ::iovec* parts, int count, long at, int flags) {
  if (!is_timer(fd)) return PRELOAD_NEXT(pwritev2)(fd, parts, count, at, flags);
  ::pthread_testcancel();
  return to_libc(sys::pwritev2(fd, at));
}
PRELOAD_EXPORT(::ssize_t, pwritev64v2, int fd, const ::iovec* parts, int count, long at,
               int flags) {
  return preload_pwritev2(fd, parts, count, at, flags);
}
PRELOAD_EXPORT(long, lseek, int fd, long to, int whence) {
  if (is_timer(fd)) return to_libc(sys::seek(fd, whence));
  return PRELOAD_NEXT(lseek)(fd, to, whence);
}
PRELOAD_EXPORT(long, lseek64, int fd, long to, int whence) {
  if (is_timer(fd)) return to_libc(sys::seek(fd, whence));
  return PRELOAD_NEXT(lseek64)(fd, to, whence);
}
PRELOAD_EXPORT(::ssize_t, write, int fd, const void* from, std::size_t size) {
  if (!is_timer(fd)) return PRELOAD_NEXT(write)(fd, from, size);
  ::pthread_testcancel();
  return to_libc(sys::write("write", fd));
}
PRELOAD_EXPORT(::ssize_t, writev, int fd, const ::iovec* parts, int count) {
  if (!is_timer(fd)) return PRELOAD_NEXT(writev)(fd, parts, count);
  ::pthread_testcancel();
  return to_libc(sys::write("writev", fd));
}
