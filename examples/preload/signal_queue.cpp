// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// How a timer's signal goes into the queue and whom it wakes; what is made of it when it is accepted.

#include "signals.hpp"

#include "clocks.hpp"
#include "engine_thread.hpp"
#include "process.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace preload::signals {
namespace {

/// The kernel lets only its main thread give a process a signal whose si_code is that of another
/// sender (do_rt_sigqueueinfo() in signal.c). Others send this code, and the true one where an errno would be,
/// which Linux does not use; it is put right when the signal is accepted.
constexpr int carried = -4242;

void carry(::siginfo_t& info) noexcept {
  if (info.si_code >= 0 || info.si_code == SI_TKILL)
    info.si_errno = std::exchange(info.si_code, carried);
}
void uncarry(::siginfo_t& info) noexcept {
  if (info.si_code == carried) info.si_code = std::exchange(info.si_errno, 0);
}

/// Where the kernel's queue is full, a signal may come without its siginfo (__send_signal_locked() in signal.c), or as by
/// kill(2), see queue(). That never happens to the kernel's own timers.
bool may_be_bare(const ::siginfo_t& info) noexcept {
  return info.si_code == SI_USER && (info.si_pid == 0 || info.si_pid == own_pid());
}
void restore(::siginfo_t& info) noexcept {
  if (!may_be_bare(info)) return;
  if (!restore_posix_timer(info) && info.si_pid == 0) restore_itimer(info);
}

/// A line of a thread's status file.
struct thread_status {
  bool is_running = false;
  signal_set blocked = 0;
  signal_set pending = 0;
};
bool read_status(int tid, thread_status& out) noexcept {
  char path[48] = "/proc/self/task/";
  char* const end = std::to_chars(path + 16, path + 32, tid).ptr;
  std::memcpy(end, "/status", 8);
  const long fd = raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  static char text[4096];  // under the lock
  const long size = raw(SYS_read, fd, text, sizeof text - 1);
  raw(SYS_close, fd);
  if (size <= 0) return false;
  text[size] = '\0';
  const auto set_after = [](const char* name) {
    signal_set set = 0;
    if (const char* const at = std::strstr(text, name))
      std::from_chars(at + std::strlen(name), at + std::strlen(name) + 16, set, 16);
    return set;
  };
  out = {std::strstr(text, "\nState:\tR") != nullptr, set_after("\nSigBlk:\t"),
         set_after("\nSigPnd:\t")};
  return true;
}

/// A thread that runs now and does not block the signal, 0 if nobody knows of one.
int find_runner(int signo) noexcept {
  if (engine_thread::is_beside_one()) return 0;  // the process is as good
  const long dir = raw(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return 0;
  // In turn: all that are ready to run look the same from here.
  static int last = 0;
  int next = 0;
  int first = 0;
  alignas(8) static char entries[4096];
  for (long size; (size = raw(SYS_getdents64, dir, entries, sizeof entries)) > 0;) {
    for (long at = 0; at < size;) {
      const char* const entry =
          entries + at;  // struct linux_dirent64: d_reclen at 16, d_name at 19
      unsigned short length = 0;
      std::memcpy(&length, entry + 16, sizeof length);
      at += length;
      int tid = 0;
      std::from_chars(entry + 19, entry + length, tid);
      thread_status status;
      if (tid == 0 || tid == engine_thread::tid() || !read_status(tid, status) ||
          !status.is_running || (status.blocked & just(signo)) != 0)
        continue;
      if (first == 0 || tid < first) first = tid;
      if (tid > last && (next == 0 || tid < next)) next = tid;
    }
  }
  raw(SYS_close, dir);
  return last = next != 0 ? next : first;
}

/// The same, looked up at most once a millisecond, and one part in ten of the time: it takes many system calls.
struct known_runner {
  int signo = 0;
  int tid = 0;
  nanoseconds good_until{};
};
constinit known_runner known{};

int runner(int signo) noexcept {
  const nanoseconds before = clocks::now(CLOCK_MONOTONIC);
  if (known.signo == signo && before < known.good_until) return known.tid;
  const int tid = find_runner(signo);
  const nanoseconds after = clocks::now(CLOCK_MONOTONIC);
  known = {signo, tid,
           after + std::max<nanoseconds>(clocks::from_real(std::chrono::milliseconds{1}),
                                         10 * (after - before))};
  return tid;
}

// A signal for the process, but so that one thread of it is woken before others. As the kernel's timers do; others may since
// Linux 6.9 (pidfd_send_signal(2)).
constexpr unsigned for_group = 1 << 1;  // PIDFD_SIGNAL_THREAD_GROUP (linux/pidfd.h)

long prefer(int tid, int signo, const ::siginfo_t& info) noexcept {
  constexpr unsigned of_thread = O_EXCL;  // PIDFD_THREAD
  const long fd = raw(SYS_pidfd_open, tid, of_thread);
  if (fd < 0) return fd;
  long error =
      raw(SYS_tgkill, own_pid(), tid, 0);  // it may have ended, and its number be another program's
  if (error == 0) error = raw(SYS_pidfd_send_signal, fd, signo, &info, for_group);
  raw(SYS_close, fd);
  return error;
}

/// This thread, since Linux 6.14.
long prefer_self(int signo, const ::siginfo_t& info) noexcept {
  constexpr int self = -10000;  // PIDFD_SELF_THREAD
  return raw(SYS_pidfd_send_signal, self, signo, &info, for_group);
}

/// For whom it is who holds the lock: the kernel's timers tell who sets them for the past, before the call returns. That
/// thread has all signals blocked now, and would be passed over. So this one waits until it leaves.
constinit ::siginfo_t for_caller{};  // si_signo 0: none

bool may_wait_for_caller(int signo) noexcept {
  return for_caller.si_signo == 0 && (blocked_by_caller() & just(signo)) == 0 &&
         !is_ignored(signo) && !is_vfork_child();
}

/// There was no room in the queue (RLIMIT_SIGPENDING), though its place is due to it.
void find_place(const arrival& signal) noexcept {
  if (signal.code == SI_TIMER)
    hold_posix_timer(signal);
  else if (signal.code == SI_USER || signal.code == SI_KERNEL)
    raw(SYS_kill, own_pid(), signal.signo);
}

}  // namespace

bool was_lost(const ::siginfo_t& info) noexcept {
  return info.si_code == SI_USER && info.si_pid == 0 && info.si_signo < 32;
}

arrival arrival_of(const ::siginfo_t& info) noexcept {
  return {info.si_signo, info.si_code, info.si_code == SI_TIMER ? info.si_timerid : 0,
          info.si_code == SI_TIMER ? info.si_overrun : 0,
          info.si_code == SI_TKILL || (info.si_code == SI_TIMER && tells_thread(info.si_timerid))};
}

bool accept(::siginfo_t& info) noexcept {
  uncarry(info);
  restore(info);
  arrival signal = arrival_of(info);
  const bool counts = arrived_posix_timer(signal);
  if (counts && !signal.is_for_thread) arrived_itimer(signal);
  queue_waiting(signal.signo);
  if (counts && info.si_code == SI_TIMER) info.si_overrun = signal.overrun;
  return counts;
}

void after_fork() noexcept {
  known = {};
  for_caller = {};
}

bool is_pending(int signo, int tid) noexcept {
  if (tid == 0 && for_caller.si_signo == signo) return true;
  if (tid <= 0 || tid == raw(SYS_gettid)) return (pending_signals() & just(signo)) != 0;
  thread_status status;
  return read_status(tid, status) && (status.pending & just(signo)) != 0;
}

sent queue(::siginfo_t info, int whom) noexcept {
  const int signo = info.si_signo;
  if (whom == to_runner && may_wait_for_caller(signo)) {
    for_caller = info;
    return sent::queued;
  }
  carry(info);
  const bool may_vanish = is_ignored(signo);
  const int pid = own_pid();
  // The kernel asks what the main thread has blocked, which is about to change where that holds the lock.
  if (may_vanish && (whom <= 0 || whom == pid) && (truly_blocked_by_main() & just(signo)) == 0)
    return sent::ignored;
  long error = -ESRCH;
  if (whom > 0) {
    error = raw(SYS_rt_tgsigqueueinfo, pid, whom, signo, &info);
  } else {
    if (const int first = whom == to_runner ? runner(signo) : 0; first != 0)
      error = prefer(first, signo, info);
    if (error != 0 && error != -EAGAIN) error = raw(SYS_rt_sigqueueinfo, pid, signo, &info);
  }
  // RLIMIT_SIGPENDING, from which the kernel's timers are exempt: one signal comes all the same, without its siginfo; or
  // as from the program, if there is room again.
  if (error == -EAGAIN && whom <= 0 && !is_pending(signo, 0) && raw(SYS_kill, pid, signo) == 0)
    return sent::bare;
  if (error == -EAGAIN) return sent::failed;
  if (error != 0) return sent::ignored;  // there is no such thread any more
  return !may_vanish || is_pending(signo, whom) ? sent::queued : sent::ignored;
}

::siginfo_t take_for_caller() noexcept { return std::exchange(for_caller, ::siginfo_t{}); }

void tell_caller(::siginfo_t info) noexcept {
  const int signo = info.si_signo;
  if (signo == 0) return;
  const arrival was = arrival_of(info);
  carry(info);
  long error = prefer_self(signo, info);
  if (error == -EBADF || error == -EINVAL || error == -ENOSYS)
    error = raw(SYS_rt_sigqueueinfo, own_pid(), signo, &info);
  if (error != -EAGAIN) return;
  const locked all;
  find_place(was);
}

void purge(int signo, bool (*is_leftover)(const arrival&), bool a_bare_one) noexcept {
  if (for_caller.si_signo == signo && is_leftover(arrival_of(for_caller))) for_caller = {};
  // Taken out and put back in order. All signals are blocked in this thread; another that waits for
  // this one goes on waiting.
  static ::siginfo_t kept[512];  // under the lock
  std::size_t count = 0;
  const signal_set set = just(signo);
  const ::timespec at_once{};
  bool is_first = true;
  while (count < std::size(kept)) {
    ::siginfo_t& info = kept[count];
    if (raw(SYS_rt_sigtimedwait, &set, &info, &at_once, sizeof set) < 0) break;
    uncarry(info);  // it may have been put back before
    // What was sent to this thread comes first. Without a siginfo it would go back to anybody.
    if (std::exchange(is_first, false)) restore_own_posix_timer(info);
    if (a_bare_one && may_be_bare(info))
      a_bare_one = false;
    else if (!is_leftover(arrival_of(info)))
      ++count;
  }
  for (std::size_t i = 0; i < count; ++i) {
    // What was sent to a thread looks so, except by pthread_sigqueue(3).
    const arrival was = arrival_of(kept[i]);
    carry(kept[i]);
    const int pid = own_pid();
    const long error = was.is_for_thread
                           ? raw(SYS_rt_tgsigqueueinfo, pid, raw(SYS_gettid), signo, &kept[i])
                           : raw(SYS_rt_sigqueueinfo, pid, signo, &kept[i]);
    // One that came without its siginfo needs a place to go back.
    if (error == -EAGAIN) find_place(was);
  }
}

}  // namespace preload::signals
