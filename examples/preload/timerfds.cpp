// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "timerfds.hpp"

#include "clocks.hpp"
#include "descriptors.hpp"
#include "memory.hpp"
#include "privilege.hpp"
#include "reads.hpp"
#include "symbol.hpp"
#include "trace.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <chime/duration.hpp>

#include <optional>
#include <utility>

namespace preload {

namespace rules = chime::rules;
using chime::clock_kind;
using chime::engine::base;
using chime::engine::status;

namespace {

constinit pool<shared_timerfd, true> shared_pool;
constinit pool<timerfd> handle_pool;
using timer_list = list<timerfd, &timerfd::among_all>;
constinit timer_list all_timers;
// Those that others may change, or that may be told when the clock is set.
using look_list = list<timerfd, &timerfd::among_looked_at>;
constinit look_list looked_at;
constinit int watching = 0;  // timers of this process that may be told when the clock is set

/// Holds the timer among all processes. The process's own lock comes first.
class held {
 public:
  // A model is a few words, each of which is valid at any time: go on with what the dead left.
  explicit held(timerfd& t) noexcept : shared_{*t.shared}, before_{shared_.mutex.acquire()} {}
  held(const held&) = delete;
  held& operator=(const held&) = delete;
  ~held() { shared_.mutex.release(before_); }

 private:
  shared_timerfd& shared_;
  ::robust_list* before_;
};

timerfd* find(std::uint64_t serial) noexcept {
  timerfd* t = all_timers.first();
  while (t != nullptr && t->serial != serial) t = timer_list::after(*t);
  return t;
}

nanoseconds time_of(base on) noexcept { return the_scheduler().now(on); }

/// An edge, and readable from then on.
void mark(timerfd& t) noexcept {
  const std::uint64_t one = 1;
  shared_timerfd& s = *t.shared;
  s.is_marked = true;
  raw(SYS_write, t.fd, &one, sizeof one);
  s.marks.fetch_add(1);
  if (s.readers.load() != 0) raw(SYS_futex, &s.marks, FUTEX_WAKE, 0x7fffffff);
}

/// After each change: the descriptor is readable while the model is, and the timer in its place.
void settle(timerfd& t) noexcept {
  shared_timerfd& s = *t.shared;
  if (s.is_marked && !s.model.readable()) {
    std::uint64_t count = 0;
    read_at_once(t.fd, &count, sizeof count);
    s.is_marked = false;
  }
  file(t, the_scheduler().line(s.model.filed_on()), s.model.next_deadline());
}

/// After its setting may have changed, by any process that has it.
void count_watch(timerfd& t) noexcept {
  const bool watches = t.shared->watches_clock;
  watching += static_cast<int>(watches) - static_cast<int>(t.is_counted);
  t.is_counted = watches;
  if (watches)
    looked_at.push_back(t);
  else if (!t.is_shared)
    looked_at.remove(t);
}

void changed(timerfd& t) noexcept {
  count_watch(t);
  settle(t);
  if (!t.is_shared) return;
  t.seen_changes = t.shared->changes.fetch_add(1) + 1;
  tell_family();
}

/// What is due on the timer by now.
void expire(timerfd& t, nanoseconds now) noexcept {
  if (t.shared->model.expire(now)) mark(t);
}

void notice_step(timerfd& t, nanoseconds offset) noexcept {
  shared_timerfd& s = *t.shared;
  if (!s.watches_clock || s.realtime_offset == offset) return;
  s.realtime_offset = offset;
  if (s.model.clock_was_set()) mark(t);
}

/// Before anything is asked of the timer.
void catch_up(timerfd& t) noexcept {
  if (t.shared->watches_clock) notice_step(t, clocks::realtime_offset());
  expire(t, time_of(t.shared->model.filed_on()));
}

std::optional<clock_kind> kind_of(int clock) noexcept {
  switch (clock) {
    case CLOCK_REALTIME: return clock_kind::realtime;
    case CLOCK_MONOTONIC: return clock_kind::monotonic;
    case CLOCK_BOOTTIME: return clock_kind::boottime;
    case CLOCK_REALTIME_ALARM: return clock_kind::realtime_alarm;
    case CLOCK_BOOTTIME_ALARM: return clock_kind::boottime_alarm;
    default: return std::nullopt;
  }
}

bool is_alarm(int clock) noexcept {
  return clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

::itimerspec to_libc_type(const chime::engine::timer_spec& t) noexcept {
  ::itimerspec out{};
  out.it_value = chime::to_timespec<::timespec>(t.value);
  out.it_interval = chime::to_timespec<::timespec>(t.interval);
  return out;
}

long create(int clock, int flags) noexcept {
  if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) != 0) return -EINVAL;
  const auto kind = kind_of(clock);
  if (!kind) return -EINVAL;
  if (is_alarm(clock) && !has_capability(CAP_WAKE_ALARM)) return -EPERM;
  if (is_vfork_child())
    return raw(SYS_timerfd_create, clock, flags);  // its descriptors are its own
  locked all;
  const long fd = raw(SYS_eventfd2, 0, flags);
  if (fd < 0) return fd;
  shared_timerfd* const shared = shared_pool.make(*kind);
  timerfd* const t = shared == nullptr ? nullptr : handle_pool.make(*shared, true);
  if (t == nullptr) {
    if (shared != nullptr) shared_pool.destroy(shared);
    raw(SYS_close, fd);
    return -ENOMEM;
  }
  static std::uint64_t serials = 0;
  t->serial = ++serials;
  all_timers.push_back(*t);
  descriptors::set_timer(static_cast<int>(fd), *t);
  return fd;
}

long settime(int fd, int flags, const ::itimerspec* to, ::itimerspec* old) noexcept {
  ::itimerspec wanted{};
  if (copy_in(wanted, to) != 0) return -EFAULT;
  const auto value = chime::from_timespec(wanted.it_value);
  const auto interval = chime::from_timespec(wanted.it_interval);
  constexpr int known = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
  if ((flags & ~known) != 0 || !value || !interval) return -EINVAL;
  const bool is_absolute = (flags & TFD_TIMER_ABSTIME) != 0;
  const bool cancels = (flags & TFD_TIMER_CANCEL_ON_SET) != 0;
  const auto from = is_absolute ? chime::reference::absolute : chime::reference::relative;
  chime::engine::set_result result;
  {
    locked all;
    timerfd* const t = descriptors::find(fd).timer;
    if (t == nullptr) return raw(SYS_timerfd_settime, fd, flags, to, old);  // none, or the kernel's
    const held timer{*t};
    shared_timerfd& s = *t->shared;
    catch_up(*t);
    result = s.model.settime({*value, *interval, from,
                              cancels ? chime::on_clock_set::cancel : chime::on_clock_set::follow},
                             {time_of(s.model.filed_on()), time_of(s.model.filed_on(from))});
    s.watches_clock = is_absolute && cancels;
    if (s.watches_clock) s.realtime_offset = clocks::realtime_offset();
    changed(*t);
  }
  if (result.error != status::ok) return -static_cast<int>(result.error);
  return old == nullptr ? 0 : copy_out(old, to_libc_type(result.old));
}

long gettime(int fd, ::itimerspec* out) noexcept {
  chime::engine::timer_spec left;
  {
    locked all;
    timerfd* const t = descriptors::find(fd).timer;
    if (t == nullptr) return raw(SYS_timerfd_gettime, fd, out);
    const held timer{*t};
    catch_up(*t);
    left = t->shared->model.gettime(time_of(t->shared->model.filed_on()));
    changed(*t);
  }
  return copy_out(out, to_libc_type(left));
}

constexpr unsigned long set_ticks_request = _IOW('T', 0, std::uint64_t);

long set_ticks(int fd, const std::uint64_t* from) noexcept {
  if (descriptors::find(fd).timer == nullptr) return raw(SYS_ioctl, fd, set_ticks_request, from);
  std::uint64_t ticks = 0;
  if (copy_in(ticks, from) != 0) return -EFAULT;
  locked all;
  timerfd* const t = descriptors::find(fd).timer;
  if (t == nullptr) return -EBADF;  // closed meanwhile
  const held timer{*t};
  catch_up(*t);
  const status done = t->shared->model.set_ticks(ticks);
  if (done == status::ok) mark(*t);
  changed(*t);
  return -static_cast<int>(done);
}

}  // namespace

void destroy(timerfd& t) noexcept {
  chime::engine::time_line::remove(t);
  all_timers.remove(t);
  looked_at.remove(t);
  watching -= static_cast<int>(t.is_counted);
  const bool is_last = t.shared->processes.fetch_sub(1) == 1;
  // Whoever reads it still looks at it when woken.
  if (is_last && t.is_made_here && t.shared->readers == 0) shared_pool.destroy(t.shared);
  handle_pool.destroy(&t);
}

void fire_timerfd(node& n, nanoseconds now) noexcept {
  auto& t = static_cast<timerfd&>(n);
  const held timer{t};
  expire(t, now);
  settle(t);
}

bool watches_clock() noexcept { return watching > 0; }

void look_at_shared_timerfds(nanoseconds realtime_offset) noexcept {
  for (timerfd *t = looked_at.first(), *next; t != nullptr; t = next) {
    next = look_list::after(*t);
    // The lock of a timer is a few system calls.
    if (t->seen_changes == t->shared->changes.load() && !t->is_counted) continue;
    const held timer{*t};
    t->seen_changes = t->shared->changes.load();
    count_watch(*t);
    notice_step(*t, realtime_offset);
    settle(*t);
  }
}

bool before_fork_timerfds() noexcept {
  for (timerfd* t = all_timers.first(); t != nullptr; t = timer_list::after(*t)) {
    t->is_shared = true;
    looked_at.push_back(*t);
    t->shared->processes.fetch_add(1);
  }
  return !all_timers.empty();
}

void after_fork_timerfds() noexcept {
  shared_pool.forget();
  for (timerfd* t = all_timers.first(); t != nullptr; t = timer_list::after(*t))
    t->is_made_here = false;
}

long read_timerfd(int fd, std::size_t size, wait_as how, const deliver& to) noexcept {
  using chime::engine::reader;
  if (size < sizeof(std::uint64_t)) return -EINVAL;
  // As the kernel's, it reads what was there when it began, and by the flags of then.
  std::uint64_t serial = 0;
  bool waits = false;
  for (;;) {
    shared_timerfd* shared = nullptr;
    std::uint32_t seen = 0;
    const auto take = [&](chime::engine::timerfd_read& got) noexcept {
      locked all;
      timerfd* t = descriptors::find(fd).timer;
      if (serial != 0 && (t == nullptr || t->serial != serial)) t = find(serial);
      if (t == nullptr) return false;  // closed by another thread
      if (serial == 0)
        waits = how != wait_as::not_at_all && (raw(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK) == 0;
      serial = t->serial;
      shared = t->shared;
      const held timer{*t};
      catch_up(*t);
      got = shared->model.read(time_of(shared->model.filed_on()),
                               waits ? reader::blocking : reader::non_blocking);
      seen = shared->marks.load();
      if (got.error == status::again && waits) shared->readers.fetch_add(1);
      changed(*t);
      return true;
    };
    chime::engine::timerfd_read got;
    if (!take(got)) return -EBADF;
    if (got.error == status::ok) {
      if (got.count == 0) return 0;  // F13
      const long lost = to(&got.count, sizeof got.count);
      return lost != 0 ? lost : word(sizeof got.count);
    }
    if (got.error != status::again || !waits) return -static_cast<int>(got.error);
    // Not a read of the eventfd: the thread may leave in the middle of it (pthread_cancel, siglongjmp), with what it
    // has read. Without a timeout futex(2) is restarted after a handler or not, as a read is.
    const long error = wait(how, SYS_futex, &shared->marks, FUTEX_WAIT, seen, nullptr);
    shared->readers.fetch_sub(1);
    if (error == -EINTR) return error;
  }
}

namespace sys {

long timerfd_create(int clock, int flags) noexcept {
  return traced("timerfd_create", create(clock, flags), clock, flags);
}
long timerfd_settime(int fd, int flags, const ::itimerspec* to, ::itimerspec* old) noexcept {
  return traced("timerfd_settime", settime(fd, flags, to, old), fd, flags, to,
                static_cast<const void*>(old));
}
long timerfd_gettime(int fd, ::itimerspec* out) noexcept {
  const long result = gettime(fd, out);
  return traced("timerfd_gettime", result, fd, static_cast<const ::itimerspec*>(out));
}
long ioctl(int fd, unsigned long request, long argument) noexcept {
  if (request != set_ticks_request) return raw(SYS_ioctl, fd, request, argument);
  return traced("ioctl TFD_IOC_SET_TICKS",
                set_ticks(fd, reinterpret_cast<const std::uint64_t*>(argument)), fd,
                reinterpret_cast<const void*>(argument));
}

}  // namespace sys
}  // namespace preload

using namespace preload;

PRELOAD_EXPORT(int, timerfd_create, int clock, int flags) {
  return static_cast<int>(to_libc(sys::timerfd_create(clock, flags)));
}
PRELOAD_EXPORT(int, timerfd_settime, int fd, int flags, const ::itimerspec* to, ::itimerspec* old) {
  return static_cast<int>(to_libc(sys::timerfd_settime(fd, flags, to, old)));
}
PRELOAD_EXPORT(int, timerfd_gettime, int fd, ::itimerspec* out) {
  return static_cast<int>(to_libc(sys::timerfd_gettime(fd, out)));
}
PRELOAD_EXPORT(int, ioctl, int fd, unsigned long request, long argument) {
  if (descriptors::find(fd).timer == nullptr) return PRELOAD_NEXT(ioctl)(fd, request, argument);
  return static_cast<int>(to_libc(sys::ioctl(fd, request, argument)));
}
