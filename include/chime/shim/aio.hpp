// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// io_setup(2) and its relatives, typed: the kernel's asynchronous I/O, without libaio. Each function
/// is one system call and retries nothing. Thread safety: as the kernel's, any call from any thread.

#include <chime/shim/result.hpp>
#include <chime/shim/types.hpp>

#include <linux/aio_abi.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>

namespace chime::shim {

/// The kernel's name of an AIO context: not a descriptor, but the address at which its ring is mapped
/// (see aio_ring.hpp). 0 names none. It is the process's own: a forked child has none.
enum class aio_context_id : ::aio_context_t {};

/// What is asked for, see iocb.hpp; and what came of it: `res` is a count, the events of a poll, or
/// an errno made negative.
using iocb = ::iocb;
using io_event = ::io_event;

/// io_destroy(2): cancels what can be cancelled, that is polls, waits for the rest, and unmaps the
/// ring with whatever events are left there. EINVAL: no such context.
[[nodiscard]] inline result<void> io_destroy(aio_context_id context) noexcept {
  return answer(::syscall(SYS_io_destroy, static_cast<::aio_context_t>(context)));
}

/// Owns an AIO context and destroys it.
class aio_handle {
 public:
  constexpr aio_handle() noexcept = default;
  constexpr explicit aio_handle(aio_context_id id) noexcept : id_{id} {}
  constexpr aio_handle(aio_handle&& other) noexcept : id_{std::exchange(other.id_, {})} {}
  constexpr aio_handle& operator=(aio_handle&& other) noexcept {
    aio_handle{std::move(other)}.swap(*this);
    return *this;
  }
  constexpr ~aio_handle() {
    if (has_value()) (void)io_destroy(id_);
  }

  [[nodiscard]] constexpr bool has_value() const noexcept { return id_ != aio_context_id{}; }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] constexpr aio_context_id get() const noexcept { return id_; }
  [[nodiscard]] constexpr aio_context_id release() noexcept { return std::exchange(id_, {}); }
  constexpr void swap(aio_handle& other) noexcept { std::swap(id_, other.id_); }

 private:
  aio_context_id id_{};
};

/// io_setup(2): a new context for at least `nr_events` operations at a time. (The kernel's output
/// argument, which has to hold 0, is none of the caller's here.)
/// EINVAL: 0, or absurdly many. EAGAIN: more than fs.aio-max-nr leaves; fs.aio-nr counts what is in use.
/// ENOMEM: no memory for the ring. ENOSYS: a kernel without CONFIG_AIO.
[[nodiscard]] inline result<aio_handle> io_setup(unsigned nr_events) noexcept {
  ::aio_context_t id = 0;
  if (::syscall(SYS_io_setup, nr_events, &id) == -1) return last_error();
  return aio_handle{static_cast<aio_context_id>(id)};
}

/// io_submit(2): begins `nr` operations, in order, and returns how many it did. It stops at the first
/// bad one; its error is told only where that is the very first. An iocb is read here and not again,
/// but io_cancel knows it by its address. Buffers are the kernel's until the operation's event comes.
///
/// What the file cannot do without waiting may be done here and now: reads through the page cache,
/// all of a pipe's or a terminal's. Its event is in the ring then.
/// EINVAL: nr < 0, no such context, an unknown opcode, or fields that the opcode does not use and that
/// are not 0. EBADF: not open, or not in that direction. EAGAIN: the context is full. EFAULT: an address.
[[nodiscard]] inline result<long> io_submit(aio_context_id context, long nr,
                                            iocb* const* iocbs) noexcept {
  const auto begun = ::syscall(SYS_io_submit, static_cast<::aio_context_t>(context), nr, iocbs);
  return answer(begun, static_cast<long>(begun));
}
[[nodiscard]] inline result<long> io_submit(aio_context_id context,
                                            std::span<iocb* const> iocbs) noexcept {
  return io_submit(context, static_cast<long>(iocbs.size()), iocbs.data());
}

/// io_cancel(2), of an operation by the address of its iocb. It never succeeds: EINPROGRESS means that
/// the operation is being cancelled, and its event comes by the ring like any other (fs/aio.c; a
/// cancelled poll has the result 0).
/// EINVAL: no such operation in flight, one that cannot be cancelled (any but a poll, 6.18), or no such
/// context. EFAULT: an address. EAGAIN: kernels before 3.10 or so.
[[nodiscard]] inline result<void> io_cancel(aio_context_id context, iocb& which) noexcept {
  io_event unused{};
  return answer(::syscall(SYS_io_cancel, static_cast<::aio_context_t>(context), &which, &unused));
}

/// io_getevents(2): waits for at least `min` events or the timeout, takes at most `nr`, and returns how
/// many: fewer than `min` where the time was over. Without a timeout it waits for ever, and so it does
/// for a negative one (6.18); one of 0 polls.
/// EINVAL: min < 0, nr < 0, min > nr, or no such context. EFAULT: an address. EINTR: a signal came first.
[[nodiscard]] inline result<long> io_getevents(aio_context_id context, long min, long nr,
                                               io_event* events,
                                               const timespec* timeout = nullptr) noexcept {
  const auto id = static_cast<::aio_context_t>(context);
#if defined(SYS_io_pgetevents_time64)
  if constexpr (sizeof(long) < sizeof(timeout->tv_sec)) {
    const auto came = ::syscall(SYS_io_pgetevents_time64, id, min, nr, events, timeout, nullptr);
    return answer(came, static_cast<long>(came));
  }
#endif
#if defined(SYS_io_getevents)
  struct {
    __kernel_long_t tv_sec, tv_nsec;  // the kernel's old timespec
  } until{};
  if (timeout)
    until = {static_cast<__kernel_long_t>(timeout->tv_sec),
             static_cast<__kernel_long_t>(timeout->tv_nsec)};
  const auto came = ::syscall(SYS_io_getevents, id, min, nr, events, timeout ? &until : nullptr);
  return answer(came, static_cast<long>(came));
#endif
}
[[nodiscard]] inline result<long> io_getevents(aio_context_id context, long min,
                                               std::span<io_event> events,
                                               const timespec* timeout = nullptr) noexcept {
  return io_getevents(context, min, static_cast<long>(events.size()), events.data(), timeout);
}

/// io_pgetevents(2), since Linux 4.18: the same, with the thread's signal mask replaced by `mask`
/// meanwhile, if there is one.
[[nodiscard]] inline result<long> io_pgetevents(aio_context_id context, long min, long nr,
                                                io_event* events, const timespec* timeout,
                                                const ::sigset_t* mask) noexcept {
  const auto id = static_cast<::aio_context_t>(context);
  const struct {
    const ::sigset_t* mask;
    std::size_t size;
  } signals{mask, (_NSIG - 1) / 8};  // as the kernel counts them
#if defined(SYS_io_pgetevents_time64)
  if constexpr (sizeof(long) < sizeof(timeout->tv_sec)) {
    const auto came = ::syscall(SYS_io_pgetevents_time64, id, min, nr, events, timeout, &signals);
    return answer(came, static_cast<long>(came));
  }
#endif
#if defined(SYS_io_pgetevents)
  struct {
    __kernel_long_t tv_sec, tv_nsec;
  } until{};
  if (timeout)
    until = {static_cast<__kernel_long_t>(timeout->tv_sec),
             static_cast<__kernel_long_t>(timeout->tv_nsec)};
  const auto came =
      ::syscall(SYS_io_pgetevents, id, min, nr, events, timeout ? &until : nullptr, &signals);
  return answer(came, static_cast<long>(came));
#else
  errno = ENOSYS;
  return last_error();
#endif
}

}  // namespace chime::shim
