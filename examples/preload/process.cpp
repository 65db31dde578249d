// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "process.hpp"

#include "clocks.hpp"
#include "engine_thread.hpp"
#include "lock.hpp"
#include "memory.hpp"
#include "signals.hpp"
#include "trace.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <fcntl.h>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <new>
#include <utility>

namespace preload {
namespace {

using chime::engine::base;
using std::chrono::milliseconds;
namespace rules = chime::rules;

/// What all processes have in common that come from one by fork(2): the word on which their engines
/// sleep. Each goes by a bit of its own, and by all bits where a timer changed that it may share.
struct family {
  std::atomic<std::uint32_t> changes;
};

/// What a child of fork(2) does not inherit, not even of one that no handler saw (a bare system
/// call): its page reads zero there (MADV_WIPEONFORK).
struct identity {
  std::atomic<int> pid;
};

struct process {
  chime::engine::scheduler scheduler;
  family* kin;
  identity* self;
  std::uint32_t bit = 1;       // of this process, see family
  nanoseconds next_look{};     // when somebody has to look again, in the program's time
  nanoseconds sleeps_until{};  // until when the engine's thread does
  std::uint32_t seen_changes = 0;
  bool is_dirty = false;  // next_look is out of date
  bool has_engine = false;
  bool keeps_engine = false;   // soon it may be too late for one
  unsigned pauses = 0;         // of the engine's thread, which ends
  bool shares_timers = false;  // with a process that may set them, and end
  bool must_tell = false;
  signal_set caller_mask = all_signals;  // see blocked_by_caller()
  signal_set mask_before_fork = 0;
  std::atomic<int> forking = 0;  // the thread that holds the lock over a fork

  process(const clocks::source& time, unsigned threads) noexcept : scheduler{time, threads} {}
};

constinit lock the_lock;
constinit lock on_loan;  // the same, from a thread that holds it over a fork
constinit std::atomic<process*> here = nullptr;
// For those who only want to know whether there is anything to do.
constinit std::atomic<std::int64_t> due_at = rules::never.count();
alignas(process) constinit std::byte storage[sizeof(process)]{};
constinit clocks::source real_time;

/// How often to look whether the clock was set, as long as that matters to anybody. Nothing in user
/// space tells but a timer of the kernel's.
constexpr milliseconds clock_watch{10};

[[nodiscard]] nanoseconds look_again(process& p) noexcept {
  nanoseconds at = p.scheduler.next_look();
  const bool can_jump = p.scheduler.left([](base on) {
    return chime::engine::can_step(on) || on == base::boottime;
  }) != rules::never;
  if (watches_clock() || can_jump)
    at = std::min(
        at, rules::saturating_add(clocks::now(CLOCK_MONOTONIC), clocks::from_real(clock_watch)));
  return at;
}

void fire(node& timer, nanoseconds now) noexcept {
  switch (timer.what) {
    case node::kind::timerfd: return fire_timerfd(timer, now);
    case node::kind::posix_timer: return fire_posix_timer(timer, now);
    case node::kind::itimer: return fire_itimer(timer, now);
  }
}

void run_due(process& p) noexcept {
  if (watches_clock()) look_at_shared_timerfds(clocks::realtime_offset());
  p.scheduler.look();
  for (auto due = p.scheduler.pop_due(); due.timer != nullptr; due = p.scheduler.pop_due())
    fire(static_cast<node&>(*due.timer), due.now);
  p.is_dirty = true;
}

/// At the end of a turn with the lock. False if nothing has changed.
bool settle(process& p) noexcept {
  if (!std::exchange(p.is_dirty, false)) return false;
  p.next_look = look_again(p);
  due_at.store(p.next_look.count(), std::memory_order_relaxed);
  return true;
}

/// What was set for the past expires before the call returns.
void run_newly_due(process& p) noexcept {
  if (settle(p) && clocks::now(CLOCK_MONOTONIC) >= p.next_look) run_due(p);
}

/// The end of a turn of a thread that is not the engine's: true if that must be woken.
bool settle_for_engine(process& p) noexcept {
  settle(p);
  if (p.next_look >= p.sleeps_until) return false;
  p.sleeps_until = p.next_look;
  return p.has_engine;
}

void wake(process& p, bool everybody) noexcept {
  p.kin->changes.fetch_add(1, std::memory_order_release);
  raw(SYS_futex, &p.kin->changes, FUTEX_WAKE_BITSET, 0x7fffffff, nullptr, nullptr,
      everybody ? std::uint32_t{FUTEX_BITSET_MATCH_ANY} : p.bit);
}

void introduce(process& p) noexcept {
  const int pid = static_cast<int>(raw(SYS_getpid));
  p.self->pid.store(pid);
  p.bit = std::uint32_t{1} << (pid % 31);
}

/// What the main thread has blocked in truth while it has all blocked, see signals::queue.
constinit std::atomic<bool> is_main_inside = false;
constinit std::atomic<signal_set> main_mask = 0;

/// In the child, with the lock held: it has this memory, and one thread.
void become_child(process& p) noexcept {
  introduce(p);
  engine_thread::forget();
  p.has_engine = false;
  p.pauses = 0;
  p.sleeps_until = rules::never;
  p.must_tell = false;
  p.caller_mask = all_signals;
  p.forking = 0;
  is_main_inside = false;
  after_fork_posix_timers();
  after_fork_itimers();
  after_fork_timerfds();
  signals::after_fork();
  p.is_dirty = true;
}

process& the_process() noexcept {
  if (process* const p = here.load(std::memory_order_acquire)) return *p;
  // Before the constructor: another library's is first. There is one thread.
  clocks::init();
  init_trace();
  const unsigned processors = [] {
    ::cpu_set_t set;
    const long bytes = raw(SYS_sched_getaffinity, 0, sizeof set, &set);
    return bytes > 0 ? static_cast<unsigned>(CPU_COUNT_S(static_cast<std::size_t>(bytes), &set))
                     : 1U;
  }();
  auto* const p = ::new (storage) process{real_time, processors};
  for (const base on : {base::monotonic, base::realtime, base::boottime, base::tai,
                        base::process_cpu, base::user_cpu})
    p->scheduler.line(on).users += 1;  // kept for good
  void* const shared = map_pages(4096, true);
  void* const wiped = map_pages(4096);
  if (shared == nullptr || wiped == nullptr) {
    complain("chime: no memory\n");
    raw(SYS_exit_group, 127);
  }
  raw(SYS_madvise, wiped, 4096, MADV_WIPEONFORK);
  p->kin = ::new (shared) family{};
  p->self = ::new (wiped) identity{};
  p->next_look = p->sleeps_until = rules::never;
  introduce(*p);
  ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  here.store(p, std::memory_order_release);
  return *p;
}

/// Nobody but the kernel is to have the processor before this thread, as nobody has before the kernel's timers: as far as
/// that is allowed.
void go_before_all() noexcept {
  ::cpu_set_t all;
  std::memset(&all, 0xff, sizeof all);
  raw(SYS_sched_setaffinity, 0, sizeof all, &all);
  ::sched_param first{};
  first.sched_priority = 99;
  if (raw(SYS_sched_setscheduler, 0, SCHED_FIFO, &first) == 0) return;
  ::rlimit most{};
  raw(SYS_prlimit64, 0, RLIMIT_RTPRIO, nullptr, &most);
  first.sched_priority = static_cast<int>(most.rlim_cur);
  raw(SYS_sched_setscheduler, 0, SCHED_FIFO, &first);
}

/// Whether a thread sleeps, in the kernel's words; false where nobody can tell.
bool is_asleep(int tid) noexcept {
  char text[64] = "/proc/self/task/";
  char* const end = std::to_chars(text + 16, text + 32, tid).ptr;
  std::memcpy(end, "/stat", 6);
  const long fd = raw(SYS_openat, AT_FDCWD, text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const long size = raw(SYS_read, fd, text, sizeof text - 1);
  raw(SYS_close, fd);
  text[size < 0 ? 0 : size] = '\0';
  const char* const state = std::strrchr(text, ')');  // a name may have one, too
  return state != nullptr && std::strncmp(state, ") S", 3) == 0;
}

/// Takes the lock, or a loan of it. libc's fork(2) takes locks of its own while a thread holds ours over it, malloc's first
/// of all, and waits for whoever is interrupted with one of those. So who waits for long, while that one sleeps, goes on. (If
/// it did not wait for this thread but wakes now and forks, the child copies what is half changed. It would have to trust
/// nothing but the descriptors' table instead.)
lock& take_lock(process& p) noexcept {
  constexpr ::timespec patience{0, 50'000'000};  // many threads may wait
  while (!the_lock.acquire_within(patience)) {
    const int thread = p.forking.load();
    if (thread == 0 || !is_asleep(thread)) continue;
    on_loan.acquire();
    if (p.forking.load() == thread && is_asleep(thread)) return on_loan;
    on_loan.release();
  }
  return the_lock;
}

int engine_main(void*) noexcept {
  static ::robust_list_head own_list;  // for shared_lock
  own_list = {{&own_list.list}, 0, nullptr};
  raw(SYS_set_robust_list, &own_list, sizeof own_list);
  raw(SYS_prctl, PR_SET_NAME, "chime");
  raw(SYS_prctl, PR_SET_TIMERSLACK, 1);
  go_before_all();
  process& p = *here.load();
  for (;;) {
    lock& held = take_lock(p);
    const std::uint32_t changes = p.kin->changes.load(std::memory_order_acquire);
    if (std::exchange(p.seen_changes, changes) != changes)
      look_at_shared_timerfds(clocks::realtime_offset());
    run_due(p);
    settle(p);
    const bool tells = std::exchange(p.must_tell, false);
    const bool ends = p.pauses != 0;
    p.sleeps_until = ends ? rules::never : p.next_look;
    const nanoseconds until = clocks::monotonic_to_real(p.next_look);
    held.release();
    if (tells) wake(p, true);
    if (ends) return 0;
    const ::timespec deadline = chime::to_timespec<::timespec>(until);
    raw(SYS_futex, &p.kin->changes, FUTEX_WAIT_BITSET, changes,
        until == rules::never ? nullptr : &deadline, nullptr, p.bit);
  }
}

lock& enter() noexcept {
  process& p = the_process();
  if (p.self->pid.load(std::memory_order_relaxed) != 0) return take_lock(p);
  on_loan.reset();
  the_lock.reset();
  the_lock.acquire();
  become_child(p);
  return the_lock;
}

/// Only where it matters to somebody.
void note_mask(signal_set mask) noexcept {
  if (!signals::ignores_any() || raw(SYS_gettid) != own_pid()) return;
  main_mask = mask;
  is_main_inside = true;
}
void restore_mask(signal_set mask) noexcept {
  set_mask(SIG_SETMASK, mask);
  if (is_main_inside.load(std::memory_order_relaxed) && raw(SYS_gettid) == own_pid())
    is_main_inside = false;
}

/// At the end: the engine's thread is told of an earlier deadline, and started by the first.
void leave(lock& held, signal_set mask) noexcept {
  process& p = *here.load(std::memory_order_relaxed);
  if (!is_main_inside.load(std::memory_order_relaxed))
    note_mask(mask);  // what is ignored may be watched only since
  run_newly_due(p);
  signals::notice_ignored(mask);
  const bool wakes = settle_for_engine(p);
  const bool tells = std::exchange(p.must_tell, false);
  const bool is_needed = p.next_look != rules::never || wakes || p.shares_timers || p.keeps_engine;
  const bool may_start = !p.has_engine && p.pauses == 0 && &held == &the_lock;
  const bool starts = is_needed && may_start && !is_vfork_child();
  if (starts) p.has_engine = engine_thread::start(engine_main) == 0;  // else the next tries again
  const ::siginfo_t own = signals::take_for_caller();
  p.caller_mask = all_signals;
  held.release();
  if (wakes || tells) wake(p, tells);
  restore_mask(mask);
  signals::tell_caller(own);
}

/// Whether this thread holds the lock over a fork: then this is the call of a handler of pthread_atfork that
/// was registered before ours, or the like.
bool is_forking() noexcept {
  const process* const p = here.load(std::memory_order_relaxed);
  if (p == nullptr) return false;
  const int thread = p->forking.load(std::memory_order_relaxed);
  return thread != 0 && thread == raw(SYS_gettid) && p->self->pid.load() != 0;
}

[[gnu::constructor(102)]] void loaded() noexcept {
  the_process();
  adopt_itimers();
  signals::adopt();
}

}  // namespace

locked::locked() noexcept : mask_{set_mask(SIG_BLOCK, all_signals)} {
  if (is_forking()) {
    on_loan.acquire();
    lock_ = &on_loan;
  } else {
    lock_ = &enter();
    note_mask(mask_);
  }
  process& p = *here.load(std::memory_order_relaxed);
  p.caller_mask = mask_;
  if (clocks::now(CLOCK_MONOTONIC) >= p.next_look) run_due(p);
  signals::hear();
}

locked::~locked() { leave(*lock_, mask_); }

void before_fork() noexcept {
  const signal_set mask = set_mask(SIG_BLOCK, all_signals);
  process& p = the_process();
  while (&enter() != &the_lock) on_loan.release();
  note_mask(mask);
  p.mask_before_fork = mask;
  p.shares_timers = before_fork_timerfds() || p.shares_timers;
  p.forking = static_cast<int>(raw(SYS_gettid));
}
void after_fork_in_parent() noexcept {
  process& p = *here.load();
  on_loan.acquire();
  p.forking = 0;
  on_loan.release();
  leave(the_lock, p.mask_before_fork);
}
void after_fork_in_child() noexcept {
  // It may have come in before, in a handler of the program's.
  lock& held = enter();
  leave(held, here.load()->mask_before_fork);
}

engine_pause::engine_pause() noexcept {
  if (is_vfork_child()) return;
  mask_ = set_mask(SIG_BLOCK, all_signals & ~signals::of_libc);
  is_paused_ = true;
  {
    const locked all;
    process& p = *here.load();
    ++p.pauses;
    wake(p, false);
  }
  engine_thread::join();
}

engine_pause::~engine_pause() {
  if (!is_paused_) return;
  {
    const locked all;
    process& p = *here.load();
    if (--p.pauses == 0) p.has_engine = false;
  }
  set_mask(SIG_SETMASK, mask_);
}

void keep_engine() noexcept {
  const locked all;
  here.load()->keeps_engine = true;
}

void catch_up() noexcept {
  const process* const p = here.load(std::memory_order_relaxed);
  const nanoseconds due{due_at.load(std::memory_order_relaxed)};
  const bool is_due = due != rules::never && clocks::now(CLOCK_MONOTONIC) >= due;
  const bool is_new = p != nullptr && p->self->pid.load(std::memory_order_relaxed) == 0;
  if (is_due || is_new || signals::has_unheard()) const locked now;
}

void clock_was_set() noexcept {
  if (here.load() == nullptr) return;
  locked all;
  look_at_shared_timerfds(clocks::realtime_offset());
  here.load()->is_dirty = true;
  run_due(*here.load());
  tell_family();
}

chime::engine::scheduler& the_scheduler() noexcept { return here.load()->scheduler; }

void file(node& timer, chime::engine::time_line& line, nanoseconds deadline) noexcept {
  if (timer.is_filed_at(line, deadline)) return;
  chime::engine::time_line::file(timer, line, deadline);
  here.load(std::memory_order_relaxed)->is_dirty = true;
}

void tell_family() noexcept { here.load()->must_tell = true; }

signal_set blocked_by_caller() noexcept {
  return here.load(std::memory_order_relaxed)->caller_mask;
}

signal_set truly_blocked_by_main() noexcept {
  return is_main_inside ? main_mask.load() : all_signals;
}

int own_pid() noexcept { return the_process().self->pid.load(std::memory_order_relaxed); }
bool is_vfork_child() noexcept {
  const int pid = own_pid();
  return pid != 0 && pid != raw(SYS_getpid);
}

}  // namespace preload
