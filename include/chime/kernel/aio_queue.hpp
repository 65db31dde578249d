// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/error.hpp>
#include <chime/shim/aio.hpp>
#include <chime/shim/aio_ring.hpp>
#include <chime/shim/iocb.hpp>
#include <chime/shim/result.hpp>

#include <pthread.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace chime::kernel {

/// How often this process came out of a fork(2) as the child. A forked child has no AIO contexts, but
/// sees its parent's rings, and what it took from those would be lost to the parent.
[[nodiscard]] inline unsigned fork_generation() noexcept {
  static std::atomic<unsigned> generation = 0;
  static const int registered = ::pthread_atfork(
      nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
  (void)registered;
  return generation.load(std::memory_order_relaxed);
}

/// An AIO context of the kernel's and its ring: operations go in, in batches, and events come out, in
/// user space where the ring is known. Does not lock: one call at a time.
class aio_queue {
 public:
  aio_queue() noexcept = default;

  /// io_setup(2), and its errors.
  [[nodiscard]] static shim::result<aio_queue> open(unsigned capacity) noexcept {
    auto handle = shim::io_setup(capacity);
    if (!handle) return handle.error();
    return aio_queue{std::move(*handle), capacity};
  }
  aio_queue(aio_queue&&) noexcept = default;
  aio_queue& operator=(aio_queue&&) noexcept = default;
  ~aio_queue() {
    if (!is_mine()) (void)handle_.release();
  }

  [[nodiscard]] unsigned capacity() const noexcept { return capacity_; }

  /// Whether it is this process's, and not only its parent's.
  [[nodiscard]] bool is_mine() const noexcept { return born_ == fork_generation(); }

  /// io_submit(2): begins the first of them, how many it says. Their errors are the first one's.
  [[nodiscard]] shim::result<std::size_t> submit(std::span<shim::iocb* const> list) noexcept {
    const auto begun = shim::io_submit(handle_.get(), list);
    if (!begun) return begun.error();
    return static_cast<std::size_t>(*begun);
  }

  /// io_cancel(2). Whether the operation is being cancelled; its event comes all the same.
  [[nodiscard]] bool cancel(shim::iocb& which) noexcept {
    const auto answer = shim::io_cancel(handle_.get(), which);
    return !answer.has_error() || answer.error().value() == EINPROGRESS;
  }

  /// Whether taking what there is takes no system call.
  [[nodiscard]] bool has_ring() const noexcept { return ring_.has_value(); }

  /// Calls `came(event)` for each event that is there. \return how many
  template <class Came>
  std::size_t take(Came came) {
    std::array<shim::io_event, 64> events;
    std::size_t all = 0;
    for (std::size_t n = events.size(); n == events.size(); all += n) {
      n = is_mine() ? take_some(events) : 0;
      for (std::size_t i = 0; i < n; ++i) came(events[i]);
    }
    return all;
  }

  /// The same, after blocking the calling thread until there is one. False if there will be none.
  template <class Came>
  [[nodiscard]] bool wait(Came came) {
    if (!is_mine()) return false;
    shim::io_event event{};
    shim::result<long> got = 0L;
    do got = shim::io_getevents(handle_.get(), 1, {&event, 1});
    while (!got && got.error().value() == EINTR);
    if (!got || *got != 1) return false;
    came(event);
    return true;
  }

 private:
  aio_queue(shim::aio_handle&& handle, unsigned capacity) noexcept
      : handle_{std::move(handle)},
        ring_{shim::aio_ring::of(handle_.get())},
        capacity_{capacity},
        born_{fork_generation()} {}

  [[nodiscard]] std::size_t take_some(std::span<shim::io_event> out) noexcept {
    if (ring_) return ring_->take(out);
    constexpr shim::timespec at_once{0, 0};
    const auto got = shim::io_getevents(handle_.get(), 0, out, &at_once);
    return got ? static_cast<std::size_t>(*got) : 0;
  }

  shim::aio_handle handle_;
  std::optional<shim::aio_ring> ring_;
  unsigned capacity_ = 0;
  unsigned born_ = 0;
};

}  // namespace chime::kernel
