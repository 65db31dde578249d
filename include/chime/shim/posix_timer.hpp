// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// timer_create(2) and its relatives, typed. Each function is one system call: the kernel's, not
/// the C library's, so an id is the kernel's number and SIGEV_THREAD is SIGEV_SIGNAL (P2). Thread
/// safety: as the kernel's, any call from any thread.

#include <chime/shim/result.hpp>
#include <chime/shim/types.hpp>

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <optional>
#include <utility>

namespace chime::shim {

/// The kernel's number of a POSIX timer. 0 is one like any other, and none is a descriptor.
enum class timer_id : int {};

/// timer_delete(2): the timer is gone, and with it a notification that is pending (P9). EINVAL: no
/// such timer.
[[nodiscard]] inline result<void> timer_delete(timer_id id) noexcept {
  return answer(::syscall(SYS_timer_delete, static_cast<int>(id)));
}

/// Owns a POSIX timer and deletes it.
class posix_timer {
 public:
  constexpr posix_timer() noexcept = default;
  constexpr explicit posix_timer(timer_id id) noexcept : id_{id} {}
  constexpr posix_timer(posix_timer&& other) noexcept : id_{std::exchange(other.id_, {})} {}
  constexpr posix_timer& operator=(posix_timer&& other) noexcept {
    posix_timer{std::move(other)}.swap(*this);
    return *this;
  }
  constexpr ~posix_timer() {
    if (id_) (void)timer_delete(*id_);
  }

  [[nodiscard]] constexpr bool has_value() const noexcept { return id_.has_value(); }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return id_.has_value(); }
  /// \pre it has a value
  [[nodiscard]] constexpr timer_id operator*() const noexcept { return *id_; }
  [[nodiscard]] constexpr std::optional<timer_id> release() noexcept {
    return std::exchange(id_, {});
  }
  constexpr void swap(posix_timer& other) noexcept { std::swap(id_, other.id_); }

 private:
  std::optional<timer_id> id_;
};

/// How a timer tells of its expiry: sigevent(3type). The signal numbers are 1 to SIGRTMAX.
/// \{
[[nodiscard]] inline ::sigevent notify_nobody() noexcept {
  ::sigevent event{};
  event.sigev_notify = SIGEV_NONE;
  return event;
}
[[nodiscard]] inline ::sigevent notify_process(int signal, ::sigval value = {}) noexcept {
  ::sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = signal;
  event.sigev_value = value;
  return event;
}
/// \param thread gettid(2) of a thread of this process
[[nodiscard]] inline ::sigevent notify_thread(pid_t thread, int signal,
                                              ::sigval value = {}) noexcept {
  ::sigevent event = notify_process(signal, value);
  event.sigev_notify = SIGEV_THREAD_ID;
#if defined(sigev_notify_thread_id)
  event.sigev_notify_thread_id = thread;
#else
  event._sigev_un._tid = thread;
#endif
  return event;
}
/// \}

/// timer_create(2): a new, disarmed timer. Without an event it is SIGALRM to the process, with the
/// id as its value (P1).
/// EINVAL: no such clock, signal, way to notify or thread. EOPNOTSUPP: the clock has no timers, or
/// is an alarm clock and there is no RTC. EPERM: an alarm clock without CAP_WAKE_ALARM. EAGAIN: too
/// many (RLIMIT_SIGPENDING).
[[nodiscard]] inline result<posix_timer> timer_create(clock_id clock,
                                                      const ::sigevent* event = nullptr) noexcept {
  int id = 0;
  if (::syscall(SYS_timer_create, static_cast<clockid_t>(clock), event, &id) == -1)
    return last_error();
  return posix_timer{static_cast<timer_id>(id)};
}

/// Flags of timer_settime. Other bits mean nothing, and are no error (P2).
enum class timer_set_flags : int { none = 0, abstime = TIMER_ABSTIME };

/// timer_settime(2): arms or disarms, drops a pending notification, sets the overrun to 0, and
/// returns the old setting. EINVAL: a time out of range, or no such timer.
[[nodiscard]] inline result<itimerspec> timer_settime(timer_id id, timer_set_flags flags,
                                                      const itimerspec& setting) noexcept {
#if defined(SYS_timer_settime64)
  itimerspec old{};
  return answer(
      ::syscall(SYS_timer_settime64, static_cast<int>(id), static_cast<int>(flags), &setting, &old),
      old);
#else
  const ::itimerspec in = to_libc(setting);
  ::itimerspec out{};
  const auto status =
      ::syscall(SYS_timer_settime, static_cast<int>(id), static_cast<int>(flags), &in, &out);
  return answer(status, from_libc(out));
#endif
}

/// timer_gettime(2): the time remaining and the interval. EINVAL: no such timer.
[[nodiscard]] inline result<itimerspec> timer_gettime(timer_id id) noexcept {
#if defined(SYS_timer_gettime64)
  itimerspec now{};
  return answer(::syscall(SYS_timer_gettime64, static_cast<int>(id), &now), now);
#else
  ::itimerspec out{};
  const auto status = ::syscall(SYS_timer_gettime, static_cast<int>(id), &out);
  return answer(status, from_libc(out));
#endif
}

/// timer_getoverrun(2): how many more expirations the last accepted notification stood for, 0 to
/// DELAYTIMER_MAX. EINVAL: no such timer.
[[nodiscard]] inline result<int> timer_getoverrun(timer_id id) noexcept {
  const auto overrun = ::syscall(SYS_timer_getoverrun, static_cast<int>(id));
  return answer(overrun, static_cast<int>(overrun));
}

/// pthread_getcpuclockid(3): the clock that counts the CPU time of a thread of this process. ESRCH,
/// EINVAL: it is gone.
[[nodiscard]] inline result<clock_id> cpu_clock_of(::pthread_t thread) noexcept {
  clockid_t id{};
  if (const int error = ::pthread_getcpuclockid(thread, &id); error != 0)
    return boost::system::error_code{error, boost::system::system_category()};
  return static_cast<clock_id>(id);
}

/// clock_getcpuclockid(3): the same of a process. ESRCH: there is none of that id.
[[nodiscard]] inline result<clock_id> cpu_clock_of_process(pid_t process) noexcept {
  clockid_t id{};
  if (const int error = ::clock_getcpuclockid(process, &id); error != 0)
    return boost::system::error_code{error, boost::system::system_category()};
  return static_cast<clock_id>(id);
}

}  // namespace chime::shim
