// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/error.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace chime {

/// What a descriptor can be waited for, and what it was found to be: the events of poll(2). Errors and
/// hang-ups are always waited for.
enum class aio_events : std::uint16_t {
  none = 0,
  readable = 0x001,
  urgent = 0x002,
  writable = 0x004,
  error = 0x008,
  hung_up = 0x010,
};
[[nodiscard]] constexpr aio_events operator|(aio_events a, aio_events b) noexcept {
  return static_cast<aio_events>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr aio_events operator&(aio_events a, aio_events b) noexcept {
  return static_cast<aio_events>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}

/// Where bytes are read from or written to. (Laid out as the kernel's iovec.)
struct aio_buffer {
  void* data = nullptr;
  std::size_t size = 0;
};

/// Bytes by asio::mutable_buffer or asio::const_buffer, or whatever says `void* data()` and `size()`.
template <class T>
concept aio_readable_into = requires(const T& b) {
  { b.data() } -> std::same_as<void*>;
  { b.size() } -> std::convertible_to<std::size_t>;
};
template <class T>
concept aio_writable_from = aio_readable_into<T> || requires(const T& b) {
  { b.data() } -> std::same_as<const void*>;
  { b.size() } -> std::convertible_to<std::size_t>;
};

/// How urgent a read or write is to the disk's scheduler: ioprio_set(2). Levels go from 0, the highest,
/// to 7.
class aio_priority {
 public:
  static constexpr aio_priority idle() noexcept { return aio_priority{3, 0}; }
  static constexpr aio_priority best_effort(unsigned level) noexcept {
    return aio_priority{2, level};
  }
  /// Takes CAP_SYS_ADMIN or CAP_SYS_NICE: EPERM.
  static constexpr aio_priority realtime(unsigned level) noexcept { return aio_priority{1, level}; }

  /// As the kernel writes it. 0: none.
  [[nodiscard]] constexpr std::uint16_t raw() const noexcept { return raw_; }

  constexpr aio_priority() noexcept = default;

 private:
  constexpr aio_priority(unsigned kind, unsigned level) noexcept
      : raw_{static_cast<std::uint16_t>(kind << 13U | (level & 7U))} {}

  std::uint16_t raw_ = 0;
};

/// One operation for an aio_context: plain data. Offsets are bytes from the beginning of the file.
///
/// Descriptor and buffers are the caller's, and must last until the operation has completed: the
/// kernel goes on using them, whatever becomes of the program's interest. So must arrays of buffers.
struct aio_operation {
  enum class kind : std::uint8_t { read, write, scatter_read, gather_write, sync, sync_data, poll };

  kind what = kind::poll;
  int descriptor = -1;
  void* data = nullptr;  // of a write it is only read
  std::size_t size = 0;  // bytes, or buffers
  std::int64_t offset = 0;
  aio_events events = aio_events::none;
  aio_priority priority{};
  int rw_flags = 0;  // RWF_ of preadv2(2): of a read or write

  /// pread(2), pwrite(2). Reads and writes that bypass the page cache (O_DIRECT, where buffer, size and
  /// offset have to be aligned) go on by themselves; others mostly are done when they are submitted.
  static constexpr aio_operation read(int fd, void* data, std::size_t size,
                                      std::int64_t offset) noexcept {
    return transfer(kind::read, fd, data, size, offset);
  }
  static constexpr aio_operation write(int fd, const void* data, std::size_t size,
                                       std::int64_t offset) noexcept {
    return transfer(kind::write, fd, const_cast<void*>(data), size, offset);
  }
  template <aio_readable_into Buffer>
  static aio_operation read(int fd, const Buffer& into, std::int64_t offset) noexcept {
    return read(fd, into.data(), into.size(), offset);
  }
  template <aio_writable_from Buffer>
  static aio_operation write(int fd, const Buffer& from, std::int64_t offset) noexcept {
    return write(fd, from.data(), from.size(), offset);
  }

  /// preadv(2), pwritev(2): several buffers, one after another.
  static constexpr aio_operation read(int fd, std::span<const aio_buffer> into,
                                      std::int64_t offset) noexcept {
    return transfer(kind::scatter_read, fd, const_cast<aio_buffer*>(into.data()), into.size(),
                    offset);
  }
  static constexpr aio_operation write(int fd, std::span<const aio_buffer> from,
                                       std::int64_t offset) noexcept {
    return transfer(kind::gather_write, fd, const_cast<aio_buffer*>(from.data()), from.size(),
                    offset);
  }

  /// fsync(2), fdatasync(2), on a thread of the kernel's.
  static constexpr aio_operation sync(int fd) noexcept {
    return transfer(kind::sync, fd, nullptr, 0, 0);
  }
  static constexpr aio_operation sync_data(int fd) noexcept {
    return transfer(kind::sync_data, fd, nullptr, 0, 0);
  }

  /// Waits until the descriptor is ready for one of the events, and takes nothing. The only operation
  /// that can be cancelled once the kernel has it.
  static constexpr aio_operation poll(int fd, aio_events events) noexcept {
    aio_operation made = transfer(kind::poll, fd, nullptr, 0, 0);
    made.events = events;
    return made;
  }

 private:
  static constexpr aio_operation transfer(kind what, int fd, void* data, std::size_t size,
                                          std::int64_t offset) noexcept {
    aio_operation made;
    made.what = what;
    made.descriptor = fd;
    made.data = data;
    made.size = size;
    made.offset = offset;
    return made;
  }
};

/// What came of one operation.
struct aio_result {
  error_code error{};
  std::size_t value = 0;  ///< bytes read or written; the events of a poll

  /// The events of a poll.
  [[nodiscard]] constexpr aio_events events() const noexcept {
    return static_cast<aio_events>(value);
  }
};

}  // namespace chime
