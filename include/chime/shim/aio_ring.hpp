// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/shim/aio.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace chime::shim {

/// Takes the events of an AIO context out of its ring, without a system call.
///
/// A context's id is the address of a ring that the kernel maps into the process and fills: struct
/// aio_ring in fs/aio.c. It has told its layout there since Linux 2.5, for this use:
///
///     head, written by whoever takes      tail, written by the kernel
///      |                                   |
///      v                                   v
///     | event | event | event | . . . . .  |       (indices below `nr`)
///
/// The events between them are valid once the tail says so (acquire); the kernel may use their places
/// again once the head does (release). It may be put to use beside io_getevents, but one call at a
/// time: the kernel locks its own readers only. Not in a forked child, where the ring is the parent's
/// still: what is taken there is lost to it.
class aio_ring {
  struct header {
    std::uint32_t id;
    std::uint32_t nr;
    std::uint32_t head;
    std::uint32_t tail;
    std::uint32_t magic;
    std::uint32_t compat_features;
    std::uint32_t incompat_features;
    std::uint32_t header_length;
  };

 public:
  static constexpr std::uint32_t magic = 0xa10a10a1;

  /// The ring of a context that exists; nothing where it has another layout than this knows: then
  /// there is io_getevents.
  [[nodiscard]] static std::optional<aio_ring> of(aio_context_id context) noexcept {
    auto* const found = reinterpret_cast<header*>(static_cast<std::uintptr_t>(context));
    if (!found || found->magic != magic || found->incompat_features != 0 ||
        found->header_length != sizeof(header) || found->nr == 0)
      return std::nullopt;
    return aio_ring{found};
  }

  /// Takes events, oldest first, as many as there are and have room. \return how many
  [[nodiscard]] std::size_t take(std::span<io_event> out) noexcept {
    const std::uint32_t nr = ring_->nr;
    const std::uint32_t tail = std::atomic_ref{ring_->tail}.load(std::memory_order_acquire);
    std::uint32_t head = std::atomic_ref{ring_->head}.load(std::memory_order_relaxed);
    if (head >= nr || tail >= nr) return 0;  // somebody scribbled on it
    const auto* const events = reinterpret_cast<const io_event*>(ring_ + 1);
    std::size_t taken = 0;
    while (head != tail && taken < out.size()) {
      out[taken++] = events[head];
      head = head + 1 == nr ? 0 : head + 1;
    }
    if (taken != 0) std::atomic_ref{ring_->head}.store(head, std::memory_order_release);
    return taken;
  }

  /// How many places it has, one of which always stays free.
  [[nodiscard]] std::uint32_t size() const noexcept { return ring_->nr; }

 private:
  explicit aio_ring(header* ring) noexcept : ring_{ring} {}

  header* ring_;
};

}  // namespace chime::shim
