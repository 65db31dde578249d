// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// What io_submit(2) can be asked for. Each builder sets what its opcode uses and leaves the rest 0, as
/// fs/aio.c demands. Offsets and sizes are bytes; buffers, and arrays of them, must last until the
/// operation's event has come (the array itself: until it has been submitted).

#include <chime/shim/aio.hpp>

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

// Kernel headers before 4.18 lack it.
#ifndef IOCB_FLAG_IOPRIO
#define IOCB_FLAG_IOPRIO (1 << 1)
#endif

namespace chime::shim {

/// An operation of no particular kind: opcode and descriptor.
[[nodiscard]] inline iocb make_iocb(std::uint16_t opcode, int fd) noexcept {
  iocb made{};
  made.aio_lio_opcode = opcode;
  made.aio_fildes = static_cast<std::uint32_t>(fd);
  return made;
}

namespace iocb_detail {
[[nodiscard]] inline iocb transfer(std::uint16_t opcode, int fd, const void* buffer,
                                   std::size_t length, std::int64_t offset) noexcept {
  iocb made = make_iocb(opcode, fd);
  made.aio_buf = reinterpret_cast<std::uintptr_t>(buffer);
  made.aio_nbytes = length;
  made.aio_offset = offset;
  return made;
}
}  // namespace iocb_detail

/// pread(2), pwrite(2), preadv(2), pwritev(2), with the number of bytes as result.
/// EINVAL: a negative offset, or more bytes than a ssize_t holds. In flight: their errors.
/// \{
[[nodiscard]] inline iocb iocb_pread(int fd, void* buffer, std::size_t length,
                                     std::int64_t offset) noexcept {
  return iocb_detail::transfer(IOCB_CMD_PREAD, fd, buffer, length, offset);
}
[[nodiscard]] inline iocb iocb_pwrite(int fd, const void* buffer, std::size_t length,
                                      std::int64_t offset) noexcept {
  return iocb_detail::transfer(IOCB_CMD_PWRITE, fd, buffer, length, offset);
}
[[nodiscard]] inline iocb iocb_preadv(int fd, std::span<const ::iovec> buffers,
                                      std::int64_t offset) noexcept {
  return iocb_detail::transfer(IOCB_CMD_PREADV, fd, buffers.data(), buffers.size(), offset);
}
[[nodiscard]] inline iocb iocb_pwritev(int fd, std::span<const ::iovec> buffers,
                                       std::int64_t offset) noexcept {
  return iocb_detail::transfer(IOCB_CMD_PWRITEV, fd, buffers.data(), buffers.size(), offset);
}
/// \}

/// fsync(2) and fdatasync(2), on a thread of the kernel's; since Linux 4.18. EINVAL: the file has none.
/// \{
[[nodiscard]] inline iocb iocb_fsync(int fd) noexcept { return make_iocb(IOCB_CMD_FSYNC, fd); }
[[nodiscard]] inline iocb iocb_fdsync(int fd) noexcept { return make_iocb(IOCB_CMD_FDSYNC, fd); }
/// \}

/// Waits once for any of the events of poll(2), without reading; since Linux 4.18. The result is
/// those that there are, POLLERR and POLLHUP always among those waited for. The only operation that
/// can be cancelled.
[[nodiscard]] inline iocb iocb_poll(int fd, short events) noexcept {
  iocb made = make_iocb(IOCB_CMD_POLL, fd);
  made.aio_buf = static_cast<std::uint16_t>(events);
  return made;
}

/// The same operation, which adds 1 to an eventfd when its event is in the ring (A5).
/// EBADF, EINVAL on submission: not open, not an eventfd.
[[nodiscard]] inline iocb with_eventfd(iocb made, int eventfd) noexcept {
  made.aio_flags |= IOCB_FLAG_RESFD;
  made.aio_resfd = static_cast<std::uint32_t>(eventfd);
  return made;
}

/// A priority as of ioprio_set(2). Levels are 0, the highest, to 7.
enum class ioprio : std::uint16_t { none = 0, idle = 3 << 13 };
[[nodiscard]] constexpr ioprio realtime_priority(unsigned level) noexcept {
  return static_cast<ioprio>(1 << 13 | (level & 7));
}
[[nodiscard]] constexpr ioprio best_effort_priority(unsigned level) noexcept {
  return static_cast<ioprio>(2 << 13 | (level & 7));
}

/// The same read or write, at a priority of its own; since Linux 4.18. EINVAL on submission: no such
/// class. EPERM: real time without CAP_SYS_ADMIN or CAP_SYS_NICE.
[[nodiscard]] inline iocb with_priority(iocb made, ioprio priority) noexcept {
  made.aio_flags |= IOCB_FLAG_IOPRIO;
  made.aio_reqprio = static_cast<std::int16_t>(priority);
  return made;
}

/// The same read or write, with flags of preadv2(2): RWF_DSYNC, RWF_NOWAIT, ... EOPNOTSUPP on
/// submission: unknown, or not of this file.
[[nodiscard]] inline iocb with_rw_flags(iocb made, int flags) noexcept {
  made.aio_rw_flags = static_cast<decltype(made.aio_rw_flags)>(flags);
  return made;
}

/// The same operation, with something of the caller's that comes back as the event's `data`.
[[nodiscard]] inline iocb with_data(iocb made, const void* data) noexcept {
  made.aio_data = reinterpret_cast<std::uintptr_t>(data);
  return made;
}

/// What an event says: its result, or the error.
[[nodiscard]] inline result<std::int64_t> outcome(const io_event& event) noexcept {
  if (event.res < 0)
    return boost::system::error_code{static_cast<int>(-event.res),
                                     boost::system::system_category()};
  return std::int64_t{event.res};
}

/// What was given by with_data.
template <class T>
[[nodiscard]] T* data_of(const io_event& event) noexcept {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(event.data));
}

}  // namespace chime::shim
