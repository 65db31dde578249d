// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/read_clock.hpp>

#include <optional>
#include <thread>

#if defined(_WIN32) && defined(_GLIBCXX_HAS_GTHREADS)
#include <pthread.h>
#endif

namespace chime {

/// The CPU clock of a thread of this process, to open a posix_timer<thread_cpu_clock> on it; see
/// pthread_getcpuclockid(3).
///
///     chime::posix_timer<chime::thread_cpu_clock> budget{
///         context, chime::clock_of_thread(worker.native_handle()).value()};
///
/// \param thread std::thread::native_handle(), or pthread_self(3)
/// \return nothing where it has ended, and on macOS for any thread but the calling one
///
/// Thread safety: any thread, while `thread` is not yet joined.
[[nodiscard]] inline std::optional<thread_clock> clock_of_thread(
    std::thread::native_handle_type thread) noexcept {
#if defined(__APPLE__)
  if (!::pthread_equal(thread, ::pthread_self())) return std::nullopt;
  return clock_of_this_thread();
#elif defined(_WIN32)
#if defined(_GLIBCXX_HAS_GTHREADS)
  const DWORD id = ::GetThreadId(::pthread_gethandle(thread));  // winpthreads
#else
  const DWORD id = ::GetThreadId(thread);
#endif
  if (id == 0) return std::nullopt;
  return static_cast<thread_clock>(id);
#else
  clockid_t id{};
  if (::pthread_getcpuclockid(thread, &id) != 0) return std::nullopt;
  return static_cast<thread_clock>(id);
#endif
}

}  // namespace chime
