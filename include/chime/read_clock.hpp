// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Reading the system's clocks, the one place where operating systems differ in it.
///
/// |             | Linux           | macOS                | Windows                           |
/// |-------------|-----------------|----------------------|-----------------------------------|
/// | monotonic   | CLOCK_MONOTONIC | CLOCK_UPTIME_RAW     | QueryUnbiasedInterruptTimePrecise |
/// | boottime    | CLOCK_BOOTTIME  | mach_continuous_time | QueryInterruptTimePrecise         |
/// | realtime    | CLOCK_REALTIME  | CLOCK_REALTIME       | GetSystemTimePreciseAsFileTime    |
/// | tai         | CLOCK_TAI       | as realtime          | as realtime                       |
/// | process_cpu | PROCESS_CPUTIME | PROCESS_CPUTIME      | GetProcessTimes                   |
/// | thread_cpu  | THREAD_CPUTIME  | THREAD_CPUTIME       | GetThreadTimes                    |
/// | user_cpu    | CPUCLOCK_VIRT   | getrusage            | GetProcessTimes                   |
///
/// Other POSIX systems are as Linux where they have such a clock. Where they do not, boottime is
/// CLOCK_MONOTONIC, tai is realtime, and user_cpu comes from getrusage.
///
/// An alarm clock shows the time of the clock it is named after. Windows counts in units of 100 ns,
/// and CPU time in ticks of the scheduler.

#include <chime/clock_kind.hpp>
#include <chime/duration.hpp>

#include <chrono>
#include <cstdint>

#if defined(_WIN32)
#include <windows.h>
#else
#include <time.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif !defined(_WIN32)
#include <sys/resource.h>
#endif
#if defined(__APPLE__)
#include <mach/mach_time.h>
#endif
#if !defined(_WIN32) && !defined(__APPLE__)
#include <pthread.h>
#endif

namespace chime {

/// Names a thread's CPU clock for other threads to read.
enum class thread_clock : std::int64_t {};

#if defined(_WIN32)

namespace clock_detail {

inline nanoseconds hundreds(std::uint64_t count) noexcept {
  return nanoseconds{static_cast<std::int64_t>(count) * 100};
}
inline nanoseconds hundreds(const FILETIME& t) noexcept {
  return hundreds(static_cast<std::uint64_t>(t.dwHighDateTime) << 32 | t.dwLowDateTime);
}

/// The precise interrupt times are Windows 10's. They are looked up by name, so that no import
/// library is needed.
using interrupt_time = VOID(WINAPI*)(PULONGLONG);
inline interrupt_time find_interrupt_time(const char* name) noexcept {
  const HMODULE base = ::GetModuleHandleW(L"kernelbase.dll");
  const FARPROC found = base ? ::GetProcAddress(base, name) : nullptr;
  return found ? reinterpret_cast<interrupt_time>(reinterpret_cast<void*>(found)) : nullptr;
}

/// Older ones have the performance counter, which counts suspend.
inline nanoseconds performance_counter() noexcept {
  LARGE_INTEGER frequency, count;
  ::QueryPerformanceFrequency(&frequency);
  ::QueryPerformanceCounter(&count);
  const std::int64_t whole = count.QuadPart / frequency.QuadPart;
  const std::int64_t part = count.QuadPart % frequency.QuadPart;
  return nanoseconds{whole * 1'000'000'000 + part * 1'000'000'000 / frequency.QuadPart};
}

inline nanoseconds read(interrupt_time query) noexcept {
  if (query == nullptr) return performance_counter();
  ULONGLONG count = 0;
  query(&count);
  return hundreds(count);
}

struct cpu_times {
  nanoseconds user{}, system{};
};
inline cpu_times of_process() noexcept {
  FILETIME created, ended, system, user;
  if (!::GetProcessTimes(::GetCurrentProcess(), &created, &ended, &system, &user)) return {};
  return {hundreds(user), hundreds(system)};
}

}  // namespace clock_detail

/// The clock of the calling thread.
[[nodiscard]] inline thread_clock clock_of_this_thread() noexcept {
  return static_cast<thread_clock>(::GetCurrentThreadId());
}

/// Whether the thread is there.
[[nodiscard]] inline bool exists(thread_clock of) noexcept {
  const HANDLE thread = ::OpenThread(THREAD_QUERY_INFORMATION, FALSE, static_cast<DWORD>(of));
  if (thread == nullptr) return false;
  ::CloseHandle(thread);
  return true;
}

/// The CPU time of a thread; zero once it is gone.
[[nodiscard]] inline nanoseconds read_clock(thread_clock of) noexcept {
  const HANDLE thread = ::OpenThread(THREAD_QUERY_INFORMATION, FALSE, static_cast<DWORD>(of));
  if (thread == nullptr) return {};
  FILETIME created, ended, system{}, user{};
  ::GetThreadTimes(thread, &created, &ended, &system, &user);
  ::CloseHandle(thread);
  return clock_detail::hundreds(user) + clock_detail::hundreds(system);
}

/// The time now. Never fails.
[[nodiscard]] inline nanoseconds read_clock(clock_kind kind) noexcept {
  using namespace clock_detail;
  switch (without_alarm(kind)) {
    case clock_kind::boottime: {
      static const interrupt_time query = find_interrupt_time("QueryInterruptTimePrecise");
      return read(query);
    }
    case clock_kind::realtime:
    case clock_kind::tai: {
      FILETIME since_1601;
      ::GetSystemTimePreciseAsFileTime(&since_1601);
      return hundreds(since_1601) - std::chrono::seconds{11'644'473'600};
    }
    case clock_kind::process_cpu: {
      const cpu_times t = of_process();
      return t.user + t.system;
    }
    case clock_kind::user_cpu: return of_process().user;
    case clock_kind::thread_cpu: return read_clock(clock_of_this_thread());
    default: {
      static const interrupt_time query = find_interrupt_time("QueryUnbiasedInterruptTimePrecise");
      return read(query);
    }
  }
}

#else  // POSIX

namespace clock_detail {

/// The kernel's timespec with 64-bit seconds, whatever the C library's time_t: the calls that end
/// in `64` take it on 32-bit machines.
struct kernel_timespec {
  std::int64_t tv_sec;
  std::int64_t tv_nsec;
};
inline constexpr bool libc_is_time64 = sizeof(::time_t) >= sizeof(std::int64_t);

/// clock_gettime(2), clean past 2038. 0, or -1 with errno.
inline int gettime(clockid_t id, kernel_timespec& now) noexcept {
#if defined(SYS_clock_gettime64)
  if constexpr (!libc_is_time64) return static_cast<int>(::syscall(SYS_clock_gettime64, id, &now));
#endif
  ::timespec t{};
  const int result = ::clock_gettime(id, &t);
  now = {t.tv_sec, t.tv_nsec};
  return result;
}

inline nanoseconds read(clockid_t id) noexcept {
  kernel_timespec t{};
  gettime(id, t);
  return nanoseconds{t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

/// The system's number of a clock.
constexpr clockid_t id_of(clock_kind kind) noexcept {
  switch (kind) {
#if defined(__linux__)
    case clock_kind::realtime_alarm: return CLOCK_REALTIME_ALARM;
    case clock_kind::boottime_alarm: return CLOCK_BOOTTIME_ALARM;
    // CPUCLOCK_VIRT of this process (linux/posix-timers.h): what ITIMER_VIRTUAL goes by.
    case clock_kind::user_cpu: return ~clockid_t{0} * 8 + 1;
#else
    case clock_kind::realtime_alarm: return CLOCK_REALTIME;
    case clock_kind::boottime_alarm: return id_of(clock_kind::boottime);
    case clock_kind::user_cpu: return CLOCK_PROCESS_CPUTIME_ID;
#endif
#if defined(CLOCK_BOOTTIME)
    case clock_kind::boottime: return CLOCK_BOOTTIME;
#else
    case clock_kind::boottime: return CLOCK_MONOTONIC;
#endif
#if defined(CLOCK_TAI)
    case clock_kind::tai: return CLOCK_TAI;
#else
    case clock_kind::tai: return CLOCK_REALTIME;
#endif
#if defined(__APPLE__)
    case clock_kind::monotonic: return CLOCK_UPTIME_RAW;  // CLOCK_MONOTONIC counts suspend there
#else
    case clock_kind::monotonic: return CLOCK_MONOTONIC;
#endif
    case clock_kind::realtime: return CLOCK_REALTIME;
    case clock_kind::process_cpu: return CLOCK_PROCESS_CPUTIME_ID;
    case clock_kind::thread_cpu: return CLOCK_THREAD_CPUTIME_ID;
  }
  return -1;
}

}  // namespace clock_detail

#if defined(__APPLE__)
// No clock of another thread can be had by number there, so only the calling thread's is read.
[[nodiscard]] inline thread_clock clock_of_this_thread() noexcept {
  return static_cast<thread_clock>(CLOCK_THREAD_CPUTIME_ID);
}
#else
/// The clock of the calling thread.
[[nodiscard]] inline thread_clock clock_of_this_thread() noexcept {
  clockid_t id = CLOCK_THREAD_CPUTIME_ID;
  ::pthread_getcpuclockid(::pthread_self(), &id);
  return static_cast<thread_clock>(id);
}
#endif

/// Whether the thread is there.
[[nodiscard]] inline bool exists(thread_clock of) noexcept {
  clock_detail::kernel_timespec ignored{};
  return clock_detail::gettime(static_cast<clockid_t>(of), ignored) == 0;
}

/// The CPU time of a thread; zero once it is gone.
[[nodiscard]] inline nanoseconds read_clock(thread_clock of) noexcept {
  return clock_detail::read(static_cast<clockid_t>(of));
}

/// The time now. Never fails on a system that chime supports.
[[nodiscard]] inline nanoseconds read_clock(clock_kind kind) noexcept {
  const clock_kind shown = without_alarm(kind);  // an alarm clock cannot be read without an RTC
#if defined(__APPLE__)
  if (shown == clock_kind::boottime) {
    static const mach_timebase_info_data_t scale = [] {
      mach_timebase_info_data_t found{};
      ::mach_timebase_info(&found);
      return found;
    }();
    const std::uint64_t ticks = ::mach_continuous_time();
    const std::uint64_t whole = ticks / scale.denom * scale.numer;
    return nanoseconds{
        static_cast<std::int64_t>(whole + ticks % scale.denom * scale.numer / scale.denom)};
  }
#endif
#if !defined(__linux__)
  if (shown == clock_kind::user_cpu) {
    ::rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return std::chrono::seconds{used.ru_utime.tv_sec} +
           std::chrono::microseconds{used.ru_utime.tv_usec};
  }
#endif
  return clock_detail::read(clock_detail::id_of(shown));
}

#endif

}  // namespace chime
