// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "clocks.hpp"
#include "list.hpp"
#include "memory.hpp"
#include "notification_thread.hpp"
#include "privilege.hpp"
#include "process.hpp"
#include "signals.hpp"
#include "symbol.hpp"
#include "sys.hpp"
#include "trace.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <chime/duration.hpp>
#include <chime/engine/posix_timer_model.hpp>
#include <climits>

#include <optional>
#include <utility>

namespace preload {

using chime::clock_kind;
using chime::reference;
using chime::engine::base;
using chime::engine::posix_timer_model;
using std::chrono::milliseconds;
namespace rules = chime::rules;

namespace {

struct posix_timer : node {
  posix_timer(clock_kind on, chime::engine::notifies how) noexcept
      : node{kind::posix_timer}, clock{on}, model{on, how} {}

  clock_kind clock;
  posix_timer_model model;
  int id = 0;
  int signo = 0;  // 0: tells by no signal
  int tid = 0;    // whom; 0: the process
  ::sigval value{};
  chime::thread_clock whose{};              // of a CPU clock
  chime::engine::time_line* cpu = nullptr;  // that of one thread or of another process
  bool is_held = false;                     // pending, but not in the kernel's queue yet
  bool is_bare = false;                     // it is there without its siginfo
  std::optional<thread_start> start;

  place<posix_timer> among_equal_ids;
  place<posix_timer> among_told_by;
  place<posix_timer> among_pending;
  place<posix_timer> among_launching;
};

constexpr std::size_t buckets = 8192;

constinit pool<posix_timer> timers;
constinit list<posix_timer, &posix_timer::among_equal_ids> by_id[buckets]{};
constinit list<posix_timer, &posix_timer::among_told_by> told_by[65]{};  // by signal
// Of those the ones that are pending, in the order in which they came: in the kernel's queue, or waiting for
// their place there, which one for the process may have taken for all of them.
using pending_list = list<posix_timer, &posix_timer::among_pending>;
constinit pending_list queued_by[65]{};
constinit pending_list held_by[65]{};
constinit pending_list held_for_threads[65]{};
// Perhaps not all of the first are in the kernel's queue: that was full, or the signal ignored.
constinit bool may_have_lost[65]{};
constinit list<posix_timer, &posix_timer::among_launching> launching;
constinit int next_id = 0;
constinit unsigned alive = 0;
constinit bool restores_ids = false;  // prctl PR_TIMER_CREATE_RESTORE_IDS

posix_timer* find(int id) noexcept {
  if (id < 0) return nullptr;
  posix_timer* t = by_id[static_cast<unsigned>(id) % buckets].first();
  while (t != nullptr && t->id != id)
    t = list<posix_timer, &posix_timer::among_equal_ids>::after(*t);
  return t;
}

nanoseconds time_of(const posix_timer& t, base on) noexcept {
  return the_scheduler().now(on, t.whose);
}
nanoseconds time_of(const posix_timer& t) noexcept { return time_of(t, t.model.filed_on()); }

/// Where it stands, if it is pending.
pending_list& place_of(const posix_timer& t) noexcept {
  if (!t.is_held) return queued_by[t.signo];
  return (t.tid == 0 ? held_by : held_for_threads)[t.signo];
}

/// Not if it stands there already.
void stand(posix_timer& t, bool held) noexcept {
  if (t.is_held != held) place_of(t).remove(t);
  t.is_held = held;
  t.is_bare = false;
  place_of(t).push_back(t);
}

void leave(posix_timer& t) noexcept {
  place_of(t).remove(t);
  t.is_held = t.is_bare = false;
}

/// Calls `f` with each; it may leave, and its like may come.
template <class Function>
void for_each(const pending_list& l, Function f) noexcept {
  for (posix_timer *t = l.first(), *next; t != nullptr; t = next) {
    next = pending_list::after(*t);
    f(*t);
  }
}

/// After anything that may have moved it.
void settle(posix_timer& t) noexcept {
  if (!t.model.pending()) leave(t);
  auto& line = t.cpu != nullptr ? *t.cpu : the_scheduler().line(t.model.filed_on());
  file(t, line, t.model.next_deadline());
}

::siginfo_t info_of(const posix_timer& t) noexcept {
  ::siginfo_t info{};
  info.si_signo = t.signo;
  info.si_code = SI_TIMER;
  info.si_timerid = t.id;
  info.si_overrun = static_cast<int>(t.model.sequence());  // until it is accepted
  info.si_value = t.value;
  return info;
}

/// A standard signal is queued only once. The kernel's timers are told from, though, so others wait
/// here.
bool must_wait(const posix_timer& t) noexcept {
  if (t.signo >= 32) return false;
  if (t.tid == 0) return signals::is_pending(t.signo, 0);
  for (const posix_timer* o = queued_by[t.signo].first(); o != nullptr; o = pending_list::after(*o))
    if (o != &t && o->tid == t.tid) return true;
  return false;
}

/// For want of a place in the queue; the kernel's timers have one of their own (RLIMIT_SIGPENDING).
void hold(posix_timer& t) noexcept {
  may_have_lost[t.signo] = true;
  stand(t, true);
  file(t, the_scheduler().line(base::monotonic),
       clocks::now(CLOCK_MONOTONIC) + clocks::from_real(milliseconds{2}));
}

/// Queues the timer's notification.
void tell(posix_timer& t) noexcept {
  if (t.start) {
    launching.push_back(t);
    ring_notification_thread();
    return;
  }
  if (signals::is_ignored(t.signo)) may_have_lost[t.signo] = true;
  if (must_wait(t)) return stand(t, true);
  const auto sent = signals::queue(info_of(t), t.tid != 0 ? t.tid : signals::to_runner);
  if (sent != signals::sent::failed) chime::engine::time_line::remove(t);  // see hold()
  switch (sent) {
    case signals::sent::queued: stand(t, false); break;
    case signals::sent::bare:
      may_have_lost[t.signo] = true;
      stand(t, false);
      t.is_bare = true;
      break;
    case signals::sent::ignored:
      t.model.ignored();
      leave(t);
      break;
    case signals::sent::failed: hold(t); break;
  }
}

/// See notice_dropped_posix_timers(). To be asked before the timer is.
void notice_dropped(posix_timer& t) noexcept {
  if (t.signo == 0 || t.start || !t.model.pending() || t.is_held) return;
  if (!signals::is_ignored(t.signo) || signals::is_pending(t.signo, t.tid)) return;
  t.model.accept(time_of(t), t.model.sequence());
  settle(t);
}

bool is_leftover(const signals::arrival& a) noexcept {
  if (a.code != SI_TIMER) return false;
  const posix_timer* const t = find(a.timer_id);
  if (t == nullptr) return a.timer_id >= 0 && a.timer_id < next_id;
  return t->signo != a.signo || !t->model.pending() ||
         static_cast<int>(t->model.sequence()) != a.overrun;
}

void purge(posix_timer& t, bool was_queued) noexcept {
  const bool was_bare = t.is_bare;
  leave(t);
  if (!was_queued || t.start || t.signo == 0) return;
  signals::purge(t.signo, is_leftover, was_bare);
  signals::queue_waiting(t.signo);
}

/// Whether a clock makes timers, as kernel/time/posix-timers.c has it. 0, or the errno.
long judge_clock(int clock, clock_kind& kind) noexcept {
  switch (clock) {
    case CLOCK_REALTIME: kind = clock_kind::realtime; return 0;
    case CLOCK_MONOTONIC: kind = clock_kind::monotonic; return 0;
    case CLOCK_BOOTTIME: kind = clock_kind::boottime; return 0;
    case CLOCK_TAI: kind = clock_kind::tai; return 0;
    case CLOCK_REALTIME_ALARM: kind = clock_kind::realtime_alarm; return 0;
    case CLOCK_BOOTTIME_ALARM: kind = clock_kind::boottime_alarm; return 0;
    case CLOCK_PROCESS_CPUTIME_ID: kind = clock_kind::process_cpu; return 0;
    case CLOCK_THREAD_CPUTIME_ID: kind = clock_kind::thread_cpu; return 0;
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE: return -EOPNOTSUPP;
    default: break;
  }
  if (clock >= 0) return -EINVAL;
  if ((clock & 7) == 3) return -EOPNOTSUPP;  // a descriptor's (CLOCKFD)
  kind = clock_kind::thread_cpu;
  return 0;
}

/// What a clock says only after all else was judged.
long open_clock(int clock) noexcept {
  ::timespec t{};
  if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) {
    // alarm_timer_create() in kernel/time/alarmtimer.c. Only with an RTC has the clock a resolution.
    if (raw(SYS_clock_getres, clock, &t) != 0) return -EOPNOTSUPP;
    return has_capability(CAP_WAKE_ALARM) ? 0 : -EPERM;
  }
  return clock < 0 && raw(SYS_clock_gettime, clock, &t) != 0 ? -EINVAL : 0;
}

bool is_good(const ::sigevent& e) noexcept {
  switch (e.sigev_notify) {
    case SIGEV_THREAD_ID:
      if (raw(SYS_tgkill, raw(SYS_getpid), e._sigev_un._tid, 0) != 0) return false;
      [[fallthrough]];
    case SIGEV_SIGNAL:
    case SIGEV_THREAD: return e.sigev_signo >= 1 && e.sigev_signo <= 64;
    case SIGEV_NONE: return true;
    default: return false;
  }
}

/// RLIMIT_SIGPENDING counts a signal for each timer, and those of the user's other processes, of
/// which this one knows nothing.
bool is_too_many() noexcept {
  ::rlimit limit{};
  return raw(SYS_prlimit64, 0, RLIMIT_SIGPENDING, nullptr, &limit) == 0 && alive >= limit.rlim_cur;
}

void erase(posix_timer& t) noexcept {
  by_id[static_cast<unsigned>(t.id) % buckets].remove(t);
  told_by[t.signo].remove(t);
  leave(t);
  launching.remove(t);
  chime::engine::time_line::remove(t);
  if (t.cpu != nullptr) t.cpu->users -= 1;
  if (t.start) ::pthread_attr_destroy(&t.start->how);
  timers.destroy(&t);
  --alive;
}

/// `libc`: SIGEV_THREAD is a thread, which to the kernel is a signal (P2).
long create(int clock, const ::sigevent* event, int* id, bool libc) noexcept {
  ::sigevent e{};
  if (event != nullptr && copy_in(e, event) != 0) return -EFAULT;
  clock_kind kind{};
  if (const long error = judge_clock(clock, kind); error != 0) return error;
  if (libc && event != nullptr && e.sigev_notify == SIGEV_THREAD && !have_notification_thread())
    return -EAGAIN;
  locked all;
  if (is_too_many()) return -EAGAIN;
  int number = next_id;
  if (restores_ids) {
    if (copy_in(number, id) != 0) return -EFAULT;
    if (number < 0) return -EINVAL;
    if (find(number) != nullptr) return -EBUSY;
  } else {
    while (find(number) != nullptr) number = number == INT_MAX ? 0 : number + 1;
  }
  next_id = number == INT_MAX ? 0 : number + 1;
  if (event == nullptr) {
    e.sigev_notify = SIGEV_SIGNAL;
    e.sigev_signo = SIGALRM;
    e.sigev_value.sival_int = libc ? 0 : number;  // glibc gives the kernel an event of its own
  } else if (!is_good(e) && !(libc && e.sigev_notify == SIGEV_THREAD)) {
    return -EINVAL;
  }
  if (const long error = copy_out(id, number); error != 0) return error;
  if (const long error = open_clock(clock); error != 0) return error;
  posix_timer* const t =
      timers.make(kind, e.sigev_notify == SIGEV_NONE ? chime::engine::notifies::never
                                                     : chime::engine::notifies::by_signal);
  if (t == nullptr) return -EAGAIN;
  ++alive;
  t->id = number;
  t->value = e.sigev_value;
  if (clock == CLOCK_THREAD_CPUTIME_ID) clock = static_cast<int>(~raw(SYS_gettid) << 3 | 6);
  if (kind == clock_kind::thread_cpu) {
    t->whose = static_cast<chime::thread_clock>(clock);
    t->cpu = &the_scheduler().line(base::thread_cpu, t->whose);
    t->cpu->users += 1;
  }
  if (libc && e.sigev_notify == SIGEV_THREAD) {
    t->start.emplace();
    t->start->function = e._sigev_un._sigev_thread._function;
    t->start->value = e.sigev_value;
    copy_attributes(t->start->how, e._sigev_un._sigev_thread._attribute);
  } else if (e.sigev_notify != SIGEV_NONE) {
    t->signo = e.sigev_signo;
    if (e.sigev_notify == SIGEV_THREAD_ID) t->tid = e._sigev_un._tid;
    told_by[t->signo].push_back(*t);
    signals::watch(t->signo);
  }
  by_id[static_cast<unsigned>(number) % buckets].push_back(*t);
  return 0;
}

::itimerspec to_libc_type(const chime::engine::timer_spec& t) noexcept {
  ::itimerspec out{};
  out.it_value = chime::to_timespec<::timespec>(t.value);
  out.it_interval = chime::to_timespec<::timespec>(t.interval);
  return out;
}

/// The clock is that of a thread or process that is no more.
bool is_clock_gone(const posix_timer& t) noexcept {
  ::timespec now{};
  return t.cpu != nullptr && clocks::read_real(static_cast<clockid_t>(t.whose), now) != 0;
}

long settime(int id, int flags, const ::itimerspec* to, ::itimerspec* old) noexcept {
  if (to == nullptr) return -EINVAL;
  ::itimerspec given{};
  if (copy_in(given, to) != 0) return -EFAULT;
  const auto value = chime::from_timespec(given.it_value);
  const auto interval = chime::from_timespec(given.it_interval);
  if (!value || !interval) return -EINVAL;
  const auto from = (flags & TIMER_ABSTIME) != 0 ? reference::absolute : reference::relative;
  chime::engine::set_result result;
  {
    locked all;
    posix_timer* const t = find(id);
    if (t == nullptr) return -EINVAL;
    if (is_clock_gone(*t)) return -ESRCH;  // posix_cpu_timer_set() in posix-cpu-timers.c
    notice_dropped(*t);
    const bool was_queued = t->model.pending() && !t->is_held;
    result = t->model.settime({*value, *interval, from},
                              {time_of(*t), time_of(*t, t->model.filed_on(from))}, old != nullptr);
    purge(*t, was_queued);
    settle(*t);
  }
  return old == nullptr ? 0 : copy_out(old, to_libc_type(result.old));
}

long gettime(int id, ::itimerspec* out) noexcept {
  chime::engine::timer_spec left;
  {
    locked all;
    posix_timer* const t = find(id);
    if (t == nullptr) return -EINVAL;
    notice_dropped(*t);
    if (!is_clock_gone(*t)) left = t->model.gettime(time_of(*t));
    if (!t->is_held) settle(*t);
  }
  return copy_out(out, to_libc_type(left));
}

long getoverrun(int id) noexcept {
  locked all;
  posix_timer* const t = find(id);
  if (t == nullptr) return -EINVAL;
  notice_dropped(*t);
  return t->model.getoverrun();
}

long remove(int id) noexcept {
  locked all;
  posix_timer* const t = find(id);
  if (t == nullptr) return -EINVAL;
  const bool was_queued = t->model.pending() && !t->is_held;
  t->model.withdraw();
  purge(*t, was_queued);
  erase(*t);
  return 0;
}

}  // namespace

void fire_posix_timer(node& n, nanoseconds now) noexcept {
  auto& t = static_cast<posix_timer&>(n);
  if (t.model.pending()) return tell(t);  // it had to wait for its place in the queue
  if (t.model.expire(now)) tell(t);
  if (!t.is_held) settle(t);
}

next next_to_start(thread_start& out) noexcept {
  const locked all;
  posix_timer* const t = launching.first();
  if (t == nullptr) return next::none;
  launching.remove(*t);
  const bool counts = t->model.accept(time_of(*t), t->model.sequence()).counts;
  settle(*t);
  if (!counts) return next::dropped;  // set anew meanwhile
  out = *t->start;
  copy_attributes(out.how, &t->start->how);
  return next::start;
}

void after_fork_posix_timers() noexcept {
  for (auto& bucket : by_id)
    while (posix_timer* const t = bucket.first()) erase(*t);
  next_id = 0;
  restores_ids = false;
}

namespace signals {

bool arrived_posix_timer(arrival& signal) noexcept {
  if (signal.code != SI_TIMER) return true;
  posix_timer* const t = find(signal.timer_id);
  if (t == nullptr || t->signo != signal.signo) return !is_leftover(signal);
  const auto taken = t->model.accept(time_of(*t), static_cast<std::uint32_t>(signal.overrun));
  if (!taken.counts) return false;
  signal.overrun = taken.overrun();
  settle(*t);
  return true;
}

bool tells_thread(int timer_id) noexcept {
  const posix_timer* const t = find(timer_id);
  return t != nullptr && t->tid != 0;
}

bool restore_own_posix_timer(::siginfo_t& info) noexcept {
  if (!was_lost(info)) return false;
  const int self = static_cast<int>(raw(SYS_gettid));
  const posix_timer* t = queued_by[info.si_signo].first();
  while (t != nullptr && t->tid != self) t = pending_list::after(*t);
  if (t == nullptr) return false;
  may_have_lost[info.si_signo] = true;
  info = info_of(*t);
  return true;
}

bool restore_posix_timer(::siginfo_t& info) noexcept {
  if (restore_own_posix_timer(info)) return true;
  const bool is_lost = was_lost(info);
  const posix_timer* found = nullptr;
  for (const posix_timer* t = queued_by[info.si_signo].first(); t != nullptr;
       t = pending_list::after(*t)) {
    if (t->tid != 0) continue;
    if (t->is_bare || (is_lost && found == nullptr)) found = t;
    if (t->is_bare) break;
  }
  if (found == nullptr) return false;
  may_have_lost[info.si_signo] = true;
  info = info_of(*found);
  return true;
}

void hold_posix_timer(const arrival& signal) noexcept {
  if (posix_timer* const t = find(signal.timer_id); t != nullptr && !is_leftover(signal)) hold(*t);
}

void queue_waiting(int signo) noexcept {
  if (signo < 1 || signo > 64) return;
  const bool is_standard = signo < 32;  // then there is one at a time, for the process or a thread
  bool is_taken = false;
  // Not there though they were queued: somebody else's was there first, or one without a siginfo took theirs along
  // (collect_signal() in signal.c). But a thread may be about to accept them.
  if (!queued_by[signo].empty() && (is_standard || may_have_lost[signo]) && !is_pending(signo, 0)) {
    const int self = static_cast<int>(raw(SYS_gettid));
    for_each(queued_by[signo], [&](posix_timer& lost) {
      if (lost.tid != 0 ? lost.tid != self : is_taken) return;
      tell(lost);
      if (is_standard && lost.tid == 0) is_taken = lost.model.pending();
    });
  }
  // (One that is not pending then was ignored: the next has to be, too.)
  while (posix_timer* const t = is_taken ? nullptr : held_by[signo].first()) {
    tell(*t);
    is_taken = t->is_held || (is_standard && t->model.pending());
  }
  int last = 0;  // whose place is taken
  for_each(held_for_threads[signo], [&](posix_timer& t) {
    if (t.tid == last) return;
    tell(t);
    if (t.is_held || (is_standard && t.model.pending())) last = t.tid;
  });
  if (queued_by[signo].empty() && held_by[signo].empty() && held_for_threads[signo].empty())
    may_have_lost[signo] = false;
}

void notice_dropped_posix_timers(int signo) noexcept {
  for_each(queued_by[signo], notice_dropped);
  if (is_ignored(signo)) queue_waiting(signo);  // they waited for those
}

void now_ignored_posix_timers(int signo, int whom) noexcept {
  may_have_lost[signo] = true;
  const auto ignore = [&](posix_timer& t) {
    const bool is_meant =
        whom == every_thread || t.tid == whom || (t.tid == 0 && whom == own_pid());
    if (!is_meant) return;
    leave(t);
    t.model.ignored();
    settle(t);
  };
  for (pending_list* const l : {queued_by, held_by, held_for_threads}) for_each(l[signo], ignore);
}

void no_longer_ignored_posix_timers(int signo) noexcept {
  for (posix_timer* t = told_by[signo].first(); t != nullptr;
       t = list<posix_timer, &posix_timer::among_told_by>::after(*t))
    if (t->model.no_longer_ignored()) tell(*t);
}

}  // namespace signals

namespace sys {

// A child of vfork has timers of its own, and this memory is not: they are the kernel's.

long timer_create(int clock, const ::sigevent* event, int* id) noexcept {
  if (is_vfork_child()) return raw(SYS_timer_create, clock, event, id);
  return traced("timer_create", create(clock, event, id, false), clock,
                static_cast<const void*>(event), static_cast<const void*>(id));
}
long timer_settime(int id, int flags, const ::itimerspec* to, ::itimerspec* old) noexcept {
  if (is_vfork_child()) return raw(SYS_timer_settime, id, flags, to, old);
  return traced("timer_settime", settime(id, flags, to, old), id, flags, to,
                static_cast<const void*>(old));
}
long timer_gettime(int id, ::itimerspec* out) noexcept {
  if (is_vfork_child()) return raw(SYS_timer_gettime, id, out);
  const long result = gettime(id, out);
  return traced("timer_gettime", result, id, static_cast<const ::itimerspec*>(out));
}
long timer_getoverrun(int id) noexcept {
  if (is_vfork_child()) return raw(SYS_timer_getoverrun, id);
  return traced("timer_getoverrun", getoverrun(id), id);
}
long timer_delete(int id) noexcept {
  if (is_vfork_child()) return raw(SYS_timer_delete, id);
  return traced("timer_delete", remove(id), id);
}

/// prctl(2) PR_TIMER_CREATE_RESTORE_IDS, Linux 6.15: the caller of timer_create chooses the id.
long restore_timer_ids(long what, long a, long b, long c) noexcept {
  if (a != 0 || b != 0 || c != 0) return -EINVAL;
  locked all;
  switch (what) {
    case 0:
    case 1: restores_ids = what == 1; return 0;
    case 2: return restores_ids ? 1 : 0;
    default: return -EINVAL;
  }
}

}  // namespace sys
}  // namespace preload

using namespace preload;

namespace {
/// Those that start threads have a bit more, as glibc's have (which are pointers): none of them is null.
constexpr std::intptr_t of_threads = INTPTR_MIN;

int number_of(::timer_t timer) noexcept {
  const auto n = reinterpret_cast<std::intptr_t>(timer) & ~of_threads;
  return n > INT_MAX ? -1 : static_cast<int>(n);
}
}  // namespace

PRELOAD_EXPORT(int, timer_create, ::clockid_t clock, ::sigevent* event, ::timer_t* out) {
  if (is_vfork_child()) return PRELOAD_NEXT(timer_create)(clock, event, out);
  int id = 0;
  const long result = traced("timer_create", create(clock, event, &id, true), clock,
                             static_cast<const void*>(event), static_cast<const void*>(out));
  if (result == 0) {
    const bool starts_threads = event != nullptr && event->sigev_notify == SIGEV_THREAD;
    *out = reinterpret_cast<::timer_t>(std::intptr_t{id} | (starts_threads ? of_threads : 0));
  }
  return static_cast<int>(to_libc(result));
}
PRELOAD_EXPORT(int, timer_settime, ::timer_t timer, int flags, const ::itimerspec* to,
               ::itimerspec* old) {
  return static_cast<int>(to_libc(sys::timer_settime(number_of(timer), flags, to, old)));
}
PRELOAD_EXPORT(int, timer_gettime, ::timer_t timer, ::itimerspec* out) {
  return static_cast<int>(to_libc(sys::timer_gettime(number_of(timer), out)));
}
PRELOAD_EXPORT(int, timer_getoverrun, ::timer_t timer) {
  return static_cast<int>(to_libc(sys::timer_getoverrun(number_of(timer))));
}
PRELOAD_EXPORT(int, timer_delete, ::timer_t timer) {
  return static_cast<int>(to_libc(sys::timer_delete(number_of(timer))));
}
PRELOAD_EXPORT(int, prctl, int what, unsigned long a, unsigned long b, unsigned long c,
               unsigned long d) {
  constexpr int restore_ids = 77;  // PR_TIMER_CREATE_RESTORE_IDS (linux/prctl.h since 6.15)
  if (what == restore_ids)
    return static_cast<int>(to_libc(sys::restore_timer_ids(word(a), word(b), word(c), word(d))));
  return PRELOAD_NEXT(prctl)(what, a, b, c, d);
}
