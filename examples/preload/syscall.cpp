// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// syscall(2): the numbers that have functions here go the same way. All others go on to libc's by a
// jump that leaves no frame: clone(2) may return on another stack.

#include "clocks.hpp"
#include "descriptors.hpp"
#include "process.hpp"
#include "symbol.hpp"
#include "sys.hpp"

#include <sys/epoll.h>
#include <sys/prctl.h>

namespace preload {
namespace sys {
long execve(const char* path, char* const* arguments, char* const* environment) noexcept;
long execveat(int dir, const char* path, char* const* arguments, char* const* environment,
              int flags) noexcept;
long restore_timer_ids(long what, long a, long b, long c) noexcept;
long epoll_ctl(int epoll, int what, int fd, ::epoll_event* event) noexcept;
long wait_for_descriptors(long nr, long a, long b, long c, long d, long e, long f) noexcept;
}  // namespace sys

namespace {

template <class T>
T* pointer(long a) noexcept {
  return reinterpret_cast<T*>(a);
}
int number(long a) noexcept { return static_cast<int>(a); }

[[gnu::noinline]] bool is_ours(long nr, long a, long b) noexcept {
  switch (nr) {
    case SYS_timerfd_create:
    case SYS_timerfd_settime:
    case SYS_timerfd_gettime:
    case SYS_timer_create:
    case SYS_timer_settime:
    case SYS_timer_gettime:
    case SYS_timer_getoverrun:
    case SYS_timer_delete:
    case SYS_setitimer:
    case SYS_getitimer:
#if defined(SYS_alarm)
    case SYS_alarm:
#endif
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_rt_sigtimedwait:
    case SYS_signalfd4:
#if defined(SYS_signalfd)
    case SYS_signalfd:
#endif
    case SYS_close_range:
    case SYS_dup3:
#if defined(SYS_dup2)
    case SYS_dup2:
#endif
    case SYS_clock_settime:
    case SYS_settimeofday:
    case SYS_execve:
    case SYS_execveat:
    case SYS_exit: return true;
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_preadv:
    case SYS_preadv2:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_lseek:
    case SYS_ioctl:
    case SYS_fcntl:
    case SYS_close:
    case SYS_dup: return sys::is_ours(number(a));
    case SYS_clock_gettime:
    case SYS_gettimeofday:
#if defined(SYS_time)
    case SYS_time:
#endif
    case SYS_nanosleep:
    case SYS_clock_nanosleep: return clocks::is_scaled();
    case SYS_prctl: return a == 77;  // PR_TIMER_CREATE_RESTORE_IDS
#if defined(SYS_fork)
    case SYS_fork:
#endif
    case SYS_clone:
    case SYS_clone3: return sys::makes_child(nr, a, b);
    case SYS_unshare:
    case SYS_setns: return true;
    case SYS_epoll_ctl: return descriptors::any();
#if defined(SYS_poll)
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait: catch_up(); return false;
#if defined(SYS_poll)
    case SYS_poll:
    case SYS_select:
#endif
    case SYS_ppoll:
    case SYS_pselect6: catch_up(); return descriptors::any();
    default: return false;
  }
}

// Only where the clocks are scaled: else the kernel is asked, for it does no harm.
long read_clock(clockid_t id, ::timespec* out) noexcept {
  ::timespec now{};
  const long error = clocks::read(id, now);
  return error != 0 ? error : copy_out(out, now);
}
long read_time_of_day(::timeval* out, long zone) noexcept {
  if (zone != 0)
    if (const long error = raw(SYS_gettimeofday, nullptr, zone); error != 0) return error;
  ::timespec now{};
  clocks::read(CLOCK_REALTIME, now);
  return out == nullptr ? 0 : copy_out(out, ::timeval{now.tv_sec, now.tv_nsec / 1000});
}
#if defined(SYS_time)
long read_time(::time_t* out) noexcept {
  ::timespec now{};
  clocks::read(CLOCK_REALTIME, now);
  return out != nullptr && copy_out(out, now.tv_sec) != 0 ? -EFAULT : now.tv_sec;
}
#endif
long sleep(clockid_t id, int flags, const ::timespec* span, ::timespec* left) noexcept {
  ::timespec wanted{}, rest{};
  if (copy_in(wanted, span) != 0) return -EFAULT;
  const long error = -::clock_nanosleep(id, flags, &wanted, &rest);  // the one in waits.cpp
  const bool is_told = error == -EINTR && (flags & TIMER_ABSTIME) == 0 && left != nullptr;
  return is_told && copy_out(left, rest) != 0 ? -EFAULT : error;
}

[[gnu::noinline]] long dispatch(long nr, long a, long b, long c, long d, long e, long f) noexcept {
  const auto plain = [&] { return raw(nr, a, b, c, d, e, f); };
  const int fd = number(a);
  switch (nr) {
    case SYS_timerfd_create: return sys::timerfd_create(fd, number(b));
    case SYS_timerfd_settime:
      return sys::timerfd_settime(fd, number(b), pointer<const ::itimerspec>(c),
                                  pointer<::itimerspec>(d));
    case SYS_timerfd_gettime: return sys::timerfd_gettime(fd, pointer<::itimerspec>(b));
    case SYS_timer_create:
      return sys::timer_create(fd, pointer<const ::sigevent>(b), pointer<int>(c));
    case SYS_timer_settime:
      return sys::timer_settime(fd, number(b), pointer<const ::itimerspec>(c),
                                pointer<::itimerspec>(d));
    case SYS_timer_gettime: return sys::timer_gettime(fd, pointer<::itimerspec>(b));
    case SYS_timer_getoverrun: return sys::timer_getoverrun(fd);
    case SYS_timer_delete: return sys::timer_delete(fd);
    case SYS_setitimer:
      return sys::setitimer(fd, pointer<const ::itimerval>(b), pointer<::itimerval>(c));
    case SYS_getitimer: return sys::getitimer(fd, pointer<::itimerval>(b));
#if defined(SYS_alarm)
    case SYS_alarm: return sys::alarm(static_cast<unsigned>(a));
#endif
    case SYS_rt_sigaction:
      return sys::rt_sigaction(fd, pointer<void>(b), pointer<void>(c), static_cast<std::size_t>(d));
    case SYS_rt_sigprocmask:
      return sys::rt_sigprocmask(fd, pointer<void>(b), pointer<void>(c),
                                 static_cast<std::size_t>(d));
    case SYS_rt_sigtimedwait:
      return sys::rt_sigtimedwait(pointer<void>(a), pointer<void>(b), pointer<const ::timespec>(c),
                                  static_cast<std::size_t>(d));
    case SYS_signalfd4:
      return sys::signalfd4(fd, pointer<void>(b), static_cast<std::size_t>(c), number(d));
#if defined(SYS_signalfd)
    case SYS_signalfd: return sys::signalfd4(fd, pointer<void>(b), static_cast<std::size_t>(c), 0);
#endif
    case SYS_close_range:
      return sys::close_range(static_cast<unsigned>(a), static_cast<unsigned>(b),
                              static_cast<unsigned>(c));
    case SYS_dup3: return sys::dup3("dup3", fd, number(b), number(c));
#if defined(SYS_dup2)
    case SYS_dup2: return sys::dup2(fd, number(b));
#endif
    case SYS_clock_settime: return clocks::set(fd, pointer<const ::timespec>(b));
    case SYS_settimeofday:
      return clocks::set_time_of_day(pointer<const ::timeval>(a), pointer<void>(b));
    case SYS_clock_gettime: return read_clock(fd, pointer<::timespec>(b));
    case SYS_gettimeofday: return read_time_of_day(pointer<::timeval>(a), b);
#if defined(SYS_time)
    case SYS_time: return read_time(pointer<::time_t>(a));
#endif
    case SYS_nanosleep:
      return sleep(CLOCK_MONOTONIC, 0, pointer<const ::timespec>(a), pointer<::timespec>(b));
    case SYS_clock_nanosleep:
      return sleep(fd, number(b), pointer<const ::timespec>(c), pointer<::timespec>(d));
    case SYS_execve:
      return sys::execve(pointer<const char>(a), pointer<char*>(b), pointer<char*>(c));
    case SYS_execveat:
      return sys::execveat(fd, pointer<const char>(b), pointer<char*>(c), pointer<char*>(d),
                           number(e));
    case SYS_read: return sys::read(fd, pointer<void>(b), static_cast<std::size_t>(c));
    case SYS_readv: return sys::readv(fd, pointer<const ::iovec>(b), c);
    case SYS_ioctl:
      return sys::is_timer(fd) ? sys::ioctl(fd, static_cast<unsigned long>(b), c) : plain();
    case SYS_fcntl: return sys::fcntl(fd, number(b), c);
    case SYS_close: return sys::close(fd);
    case SYS_dup: return sys::dup(fd);
    case SYS_write:
    case SYS_writev: return sys::is_timer(fd) ? sys::write("write", fd) : plain();
    case SYS_pread64: return sys::is_timer(fd) ? sys::positioned("pread", fd, d) : plain();
    case SYS_pwrite64: return sys::is_timer(fd) ? sys::positioned("pwrite", fd, d) : plain();
    case SYS_preadv: return sys::is_timer(fd) ? sys::positioned("preadv", fd, d) : plain();
    case SYS_pwritev: return sys::is_timer(fd) ? sys::positioned("pwritev", fd, d) : plain();
    case SYS_preadv2:
      return sys::is_ours(fd) ? sys::preadv2(fd, pointer<const ::iovec>(b), c, d, number(f))
                              : plain();
    case SYS_pwritev2: return sys::is_timer(fd) ? sys::pwritev2(fd, d) : plain();
    case SYS_lseek: return sys::is_timer(fd) ? sys::seek(fd, number(c)) : plain();
#if defined(SYS_poll)
    case SYS_poll:
    case SYS_select:
#endif
    case SYS_ppoll:
    case SYS_pselect6: return sys::wait_for_descriptors(nr, a, b, c, d, e, f);
    case SYS_prctl: return sys::restore_timer_ids(b, c, d, e);
#if defined(SYS_fork)
    case SYS_fork:
#endif
    case SYS_clone:
    case SYS_clone3: return sys::make_child(nr, a, b, c, d, e);
    case SYS_exit: sys::end_thread(fd); return plain();
    case SYS_unshare: return sys::unshare(fd);
    case SYS_setns: return sys::setns(fd, number(b));
    case SYS_epoll_ctl: return sys::epoll_ctl(fd, number(b), number(c), pointer<::epoll_event>(d));
    default: return plain();
  }
}

}  // namespace
}  // namespace preload

PRELOAD_EXPORT(long, syscall, long nr, long a, long b, long c, long d, long e, long f) {
  if (!preload::is_ours(nr, a, b)) return PRELOAD_NEXT(syscall)(nr, a, b, c, d, e, f);
  return preload::to_libc(preload::dispatch(nr, a, b, c, d, e, f));
}
