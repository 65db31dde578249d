// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Waiting for descriptors and for time. What is due is expired first, so that nobody finds a timer
// late that the clock says is due. Timeouts are in the program's time.
//
// A timerfd is never writable, and an eventfd always: nobody is to hear of that.

#include "clocks.hpp"
#include "descriptors.hpp"
#include "memory.hpp"
#include "process.hpp"
#include "symbol.hpp"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <threads.h>
#include <unistd.h>
#include <chime/duration.hpp>

#include <algorithm>
#include <iterator>
#include <optional>

namespace preload {
namespace {

constexpr short writable = POLLOUT | POLLWRNORM | POLLWRBAND;

/// Keeps POLLOUT of our timers out of a poll, and puts it back where the program wrote it.
class only_readable {
 public:
  only_readable(::pollfd* set, ::nfds_t count) noexcept : set_{set} {
    if (!descriptors::any()) return;
    // What cannot be read, or is more than there can be descriptors, the kernel refuses.
    constexpr ::nfds_t at_once = 32, most = 1 << 20;
    for (::nfds_t i = 0; i < std::min(count, most); i += at_once) {
      ::pollfd part[at_once];
      const ::nfds_t n = std::min(count - i, at_once);
      if (copy_in(part, set + i, n * sizeof part[0]) != 0) return;
      for (::nfds_t k = 0; k < n; ++k)
        if ((part[k].events & writable) != 0 && descriptors::find(part[k].fd).timer != nullptr)
          change(i + k, part[k].events);
    }
  }
  only_readable(const only_readable&) = delete;
  only_readable& operator=(const only_readable&) = delete;
  ~only_readable() {
    for (std::size_t i = changes_; i-- > 0;) {
      const auto& [index, events] = changed_[i];
      copy_out(&set_[index].events, events);
    }
    if (changed_ != few_) raw(SYS_munmap, changed_, room_ * sizeof(original));
  }

 private:
  void change(::nfds_t index, short events) noexcept {
    if (changes_ == room_ && !grow()) return;
    const auto readable = static_cast<short>(events & ~writable);
    if (copy_out(&set_[index].events, readable) == 0) changed_[changes_++] = {index, events};
  }

  bool grow() noexcept {
    auto* const more = static_cast<original*>(map_pages(2 * room_ * sizeof(original)));
    if (more == nullptr) return false;
    std::copy_n(changed_, changes_, more);
    if (changed_ != few_) raw(SYS_munmap, changed_, room_ * sizeof(original));
    changed_ = more;
    room_ *= 2;
    return true;
  }

  struct original {
    ::nfds_t index;
    short events;
  };
  ::pollfd* set_;
  original few_[32];
  original* changed_ = few_;
  std::size_t changes_ = 0;
  std::size_t room_ = std::size(few_);
};

/// The set of select(2) for what can be written, without our timers. Its own copy only if there are
/// any.
class without_timers {
 public:
  without_timers(int count, ::fd_set* given) noexcept : use{given}, given_{given} {
    // Whoever asks for more than a set holds has made a longer one.
    constexpr int bits = 8 * sizeof(long), most = 1 << 20;
    if (given == nullptr || count <= 0 || count > most || !descriptors::any()) return;
    bytes_ = static_cast<std::size_t>((count + bits - 1) / bits) * sizeof(long);
    if (bytes_ > sizeof few_) own_ = static_cast<unsigned long*>(map_pages(bytes_));
    if (own_ == nullptr || copy_in(own_, given, bytes_) != 0) return;
    for (int fd = 0; fd < count; ++fd) {
      unsigned long& word = own_[fd / bits];
      const unsigned long one = 1UL << fd % bits;
      if ((word & one) == 0 || descriptors::find(fd).timer == nullptr) continue;
      word &= ~one;
      use = reinterpret_cast<::fd_set*>(own_);
    }
  }
  without_timers(const without_timers&) = delete;
  without_timers& operator=(const without_timers&) = delete;
  ~without_timers() {
    if (own_ != nullptr && own_ != few_) raw(SYS_munmap, own_, bytes_);
  }

  /// The result of the call, which tells what can be written only if it succeeded.
  template <class T>
  [[nodiscard]] T give_back(T result) noexcept {
    if (use != given_ && result >= 0) copy_out(given_, own_, bytes_);
    return result;
  }

  ::fd_set* use;

 private:
  ::fd_set* given_;
  unsigned long few_[FD_SETSIZE / (8 * sizeof(long))];
  unsigned long* own_ = few_;
  std::size_t bytes_ = 0;
};

/// A timeout in the program's milliseconds as a real one; nothing for none.
std::optional<::timespec> real_timeout(int milliseconds) noexcept {
  if (milliseconds < 0) return std::nullopt;
  return chime::to_timespec<::timespec>(clocks::to_real(std::chrono::milliseconds{milliseconds}));
}

/// The same of a timespec; one that is invalid stays so.
struct scaled_timespec {
  explicit scaled_timespec(const ::timespec* given) noexcept : use{given} {
    if (given == nullptr || !clocks::is_scaled()) return;
    if (const auto span = chime::from_timespec(*given)) {
      real = chime::to_timespec<::timespec>(clocks::to_real(*span));
      use = &real;
    }
  }
  ::timespec real{};
  const ::timespec* use;
};

/// An absolute time on a clock of the program, on the real clock of the same number.
::timespec real_instant(clockid_t clock, const ::timespec& at) noexcept {
  const auto wanted = chime::from_timespec(at);
  if (!clocks::is_scaled() || !wanted) return at;
  const nanoseconds left = clocks::to_real(chime::rules::remaining(*wanted, clocks::now(clock)));
  ::timespec now{};
  clocks::read_real(clock, now);
  return chime::to_timespec<::timespec>(
      chime::rules::saturating_add(chime::from_timespec(now).value_or(nanoseconds{}), left));
}

void strip(::epoll_event& event) noexcept {
  event.events &= ~std::uint32_t{EPOLLOUT | EPOLLWRNORM};
}

}  // namespace

namespace sys {
long epoll_ctl(int epoll, int what, int fd, ::epoll_event* event) noexcept {
  ::epoll_event changed{};
  if (what == EPOLL_CTL_DEL || descriptors::find(fd).timer == nullptr ||
      copy_in(changed, event) != 0)
    return raw(SYS_epoll_ctl, epoll, what, fd, event);
  strip(changed);
  return raw(SYS_epoll_ctl, epoll, what, fd, &changed);
}

/// poll, ppoll, select and pselect6 by their numbers.
long wait_for_descriptors(long nr, long a, long b, long c, long d, long e, long f) noexcept {
  const bool is_select = [&] {
#if defined(SYS_select)
    if (nr == SYS_select) return true;
#endif
    return nr == SYS_pselect6;
  }();
  if (is_select) {
    without_timers writes{static_cast<int>(a), reinterpret_cast<::fd_set*>(c)};
    return writes.give_back(raw(nr, a, b, writes.use, d, e, f));
  }
  const only_readable ours{reinterpret_cast<::pollfd*>(a), static_cast<::nfds_t>(b)};
  return raw(nr, a, b, c, d, e, f);
}
}  // namespace sys
}  // namespace preload

using namespace preload;

PRELOAD_EXPORT(int, epoll_ctl, int epoll, int what, int fd, ::epoll_event* event) {
  return static_cast<int>(to_libc(sys::epoll_ctl(epoll, what, fd, event)));
}

PRELOAD_EXPORT(int, ppoll, ::pollfd* set, ::nfds_t count, const ::timespec* timeout,
               const ::sigset_t* mask) {
  catch_up();
  const only_readable ours{set, count};
  const scaled_timespec real{timeout};
  return PRELOAD_NEXT(ppoll)(set, count, real.use, mask);
}
PRELOAD_EXPORT(int, poll, ::pollfd* set, ::nfds_t count, int timeout) {
  catch_up();
  const only_readable ours{set, count};
  if (!clocks::is_scaled()) return PRELOAD_NEXT(poll)(set, count, timeout);
  const auto real = real_timeout(timeout);
  return PRELOAD_NEXT(ppoll)(set, count, real ? &*real : nullptr, nullptr);
}
PRELOAD_EXPORT(int, __poll_chk, ::pollfd* set, ::nfds_t count, int timeout, std::size_t room) {
  if (room / sizeof *set < count) return PRELOAD_NEXT(__poll_chk)(set, count, timeout, room);
  return preload_poll(set, count, timeout);
}
PRELOAD_EXPORT(int, __ppoll_chk, ::pollfd* set, ::nfds_t count, const ::timespec* timeout,
               const ::sigset_t* mask, std::size_t room) {
  if (room / sizeof *set < count) return PRELOAD_NEXT(__ppoll_chk)(set, count, timeout, mask, room);
  return preload_ppoll(set, count, timeout, mask);
}

PRELOAD_EXPORT(int, pselect, int count, ::fd_set* reads, ::fd_set* writes, ::fd_set* excepts,
               const ::timespec* timeout, const ::sigset_t* mask) {
  catch_up();
  without_timers own{count, writes};
  const scaled_timespec real{timeout};
  return own.give_back(PRELOAD_NEXT(pselect)(count, reads, own.use, excepts, real.use, mask));
}
PRELOAD_EXPORT(int, select, int count, ::fd_set* reads, ::fd_set* writes, ::fd_set* excepts,
               ::timeval* timeout) {
  catch_up();
  without_timers own{count, writes};
  const auto plain = [&] {
    return own.give_back(PRELOAD_NEXT(select)(count, reads, own.use, excepts, timeout));
  };
  if (!clocks::is_scaled() || timeout == nullptr) return plain();
  const auto span = chime::from_timeval(*timeout);
  if (!span) return plain();
  // select(2) says what is left of the time.
  ::timeval real = chime::to_timeval<::timeval>(clocks::to_real(*span));
  const int result = own.give_back(PRELOAD_NEXT(select)(count, reads, own.use, excepts, &real));
  *timeout = chime::to_timeval<::timeval>(
      clocks::from_real(chime::from_timeval(real).value_or(nanoseconds{})));
  return result;
}

PRELOAD_EXPORT(int, epoll_pwait2, int epoll, ::epoll_event* events, int size,
               const ::timespec* timeout, const ::sigset_t* mask) {
  catch_up();
  const scaled_timespec real{timeout};
  return PRELOAD_NEXT(epoll_pwait2)(epoll, events, size, real.use, mask);
}
PRELOAD_EXPORT(int, epoll_pwait, int epoll, ::epoll_event* events, int size, int timeout,
               const ::sigset_t* mask) {
  catch_up();
  if (!clocks::is_scaled()) return PRELOAD_NEXT(epoll_pwait)(epoll, events, size, timeout, mask);
  const auto real = real_timeout(timeout);
  return PRELOAD_NEXT(epoll_pwait2)(epoll, events, size, real ? &*real : nullptr, mask);
}
PRELOAD_EXPORT(int, epoll_wait, int epoll, ::epoll_event* events, int size, int timeout) {
  if (!clocks::is_scaled()) {
    catch_up();
    return PRELOAD_NEXT(epoll_wait)(epoll, events, size, timeout);
  }
  return preload_epoll_pwait(epoll, events, size, timeout, nullptr);
}

PRELOAD_EXPORT(int, clock_nanosleep, clockid_t clock, int flags, const ::timespec* wanted,
               ::timespec* left) {
  const bool is_cpu = clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID;
  if (!clocks::is_scaled() || is_cpu)
    return PRELOAD_NEXT(clock_nanosleep)(clock, flags, wanted, left);
  if ((flags & TIMER_ABSTIME) != 0) {
    const ::timespec real = real_instant(clock, *wanted);
    return PRELOAD_NEXT(clock_nanosleep)(clock, flags, &real, nullptr);
  }
  const scaled_timespec real{wanted};
  ::timespec rest{};
  const int error = PRELOAD_NEXT(clock_nanosleep)(clock, flags, real.use, &rest);
  if (error == EINTR && left != nullptr)
    *left = chime::to_timespec<::timespec>(
        clocks::from_real(chime::from_timespec(rest).value_or(nanoseconds{})));
  return error;
}
PRELOAD_EXPORT(int, nanosleep, const ::timespec* wanted, ::timespec* left) {
  if (!clocks::is_scaled()) return PRELOAD_NEXT(nanosleep)(wanted, left);
  return static_cast<int>(to_libc(-preload_clock_nanosleep(CLOCK_MONOTONIC, 0, wanted, left)));
}
PRELOAD_EXPORT(int, thrd_sleep, const ::timespec* wanted, ::timespec* left) {
  if (!clocks::is_scaled()) return PRELOAD_NEXT(thrd_sleep)(wanted, left);
  switch (preload_clock_nanosleep(CLOCK_REALTIME, 0, wanted, left)) {
    case 0: return 0;
    case EINTR: return -1;
    default: return -2;
  }
}
PRELOAD_EXPORT(int, usleep, ::useconds_t micros) {
  if (!clocks::is_scaled()) return PRELOAD_NEXT(usleep)(micros);
  const auto span = chime::to_timespec<::timespec>(std::chrono::microseconds{micros});
  return preload_nanosleep(&span, nullptr);
}
PRELOAD_EXPORT(unsigned, sleep, unsigned seconds) {
  if (!clocks::is_scaled()) return PRELOAD_NEXT(sleep)(seconds);
  ::timespec span{static_cast<::time_t>(seconds), 0};
  const int saved = errno;
  if (preload_nanosleep(&span, &span) == 0) return 0;
  errno = saved;
  return static_cast<unsigned>(span.tv_sec);
}

// Deadlines of condition variables, semaphores and mutexes, which programs wait by as well.

PRELOAD_EXPORT(int, pthread_cond_clockwait, ::pthread_cond_t* on, ::pthread_mutex_t* mutex,
               clockid_t clock, const ::timespec* until) {
  if (!clocks::is_scaled()) return PRELOAD_NEXT(pthread_cond_clockwait)(on, mutex, clock, until);
  const ::timespec real = real_instant(clock, *until);
  return PRELOAD_NEXT(pthread_cond_clockwait)(on, mutex, clock, &real);
}
// Those that name no clock are on the realtime clock.
#define PRELOAD_DEADLINE(symbol, type)                                \
  PRELOAD_EXPORT(int, symbol, type on, const ::timespec* until) {     \
    if (!clocks::is_scaled()) return PRELOAD_NEXT(symbol)(on, until); \
    const ::timespec real = real_instant(CLOCK_REALTIME, *until);     \
    return PRELOAD_NEXT(symbol)(on, &real);                           \
  }
#define PRELOAD_DEADLINE_ON_CLOCK(symbol, type)                                    \
  PRELOAD_EXPORT(int, symbol, type on, clockid_t clock, const ::timespec* until) { \
    if (!clocks::is_scaled()) return PRELOAD_NEXT(symbol)(on, clock, until);       \
    const ::timespec real = real_instant(clock, *until);                           \
    return PRELOAD_NEXT(symbol)(on, clock, &real);                                 \
  }
PRELOAD_DEADLINE(sem_timedwait, ::sem_t*)
PRELOAD_DEADLINE_ON_CLOCK(sem_clockwait, ::sem_t*)
PRELOAD_DEADLINE(pthread_mutex_timedlock, ::pthread_mutex_t*)
PRELOAD_DEADLINE_ON_CLOCK(pthread_mutex_clocklock, ::pthread_mutex_t*)
PRELOAD_DEADLINE(pthread_rwlock_timedrdlock, ::pthread_rwlock_t*)
PRELOAD_DEADLINE(pthread_rwlock_timedwrlock, ::pthread_rwlock_t*)
PRELOAD_DEADLINE_ON_CLOCK(pthread_rwlock_clockrdlock, ::pthread_rwlock_t*)
PRELOAD_DEADLINE_ON_CLOCK(pthread_rwlock_clockwrlock, ::pthread_rwlock_t*)
PRELOAD_DEADLINE(mtx_timedlock, ::mtx_t*)
PRELOAD_EXPORT(int, pthread_timedjoin_np, ::pthread_t thread, void** result,
               const ::timespec* until) {
  if (!clocks::is_scaled() || until == nullptr)
    return PRELOAD_NEXT(pthread_timedjoin_np)(thread, result, until);
  const ::timespec real = real_instant(CLOCK_REALTIME, *until);
  return PRELOAD_NEXT(pthread_timedjoin_np)(thread, result, &real);
}
PRELOAD_EXPORT(int, pthread_clockjoin_np, ::pthread_t thread, void** result, clockid_t clock,
               const ::timespec* until) {
  if (!clocks::is_scaled() || until == nullptr)
    return PRELOAD_NEXT(pthread_clockjoin_np)(thread, result, clock, until);
  const ::timespec real = real_instant(clock, *until);
  return PRELOAD_NEXT(pthread_clockjoin_np)(thread, result, clock, &real);
}
