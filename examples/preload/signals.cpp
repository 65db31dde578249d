// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "signals.hpp"

#include "clocks.hpp"
#include "engine_thread.hpp"
#include "process.hpp"
#include "reads.hpp"
#include "symbol.hpp"
#include "sys.hpp"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <chime/duration.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <utility>

// libc's own, past our symbol of the name without underscores.
extern "C" int __sigaction(int, const struct ::sigaction*, struct ::sigaction*) noexcept;

namespace preload {
namespace signals {
namespace {

constexpr int last_signal = 64;
using action = struct ::sigaction;

/// What the program wants of each signal that timers tell by. The kernel has ours.
constinit action wanted[last_signal + 1]{};
constinit std::atomic<signal_set> watched = 0;
constinit std::atomic<signal_set> ignored = 0;  // of those

bool is_watched(int signo) noexcept {
  return signo >= 1 && signo <= last_signal && (watched.load() & just(signo)) != 0;
}

bool is_handler(const action& a) noexcept {
  return a.sa_handler != SIG_DFL && a.sa_handler != SIG_IGN;
}
bool ignores(int signo, const action& a) noexcept {
  if (a.sa_handler == SIG_IGN) return true;
  return a.sa_handler == SIG_DFL &&
         (signo == SIGCHLD || signo == SIGCONT || signo == SIGURG || signo == SIGWINCH);
}

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

/// Where the kernel's queue is full, a standard signal still comes, but without its siginfo
/// (__send_signal_locked() in signal.c). That never happens to the kernel's own timers.
void restore(::siginfo_t& info) noexcept {
  const bool is_lost = info.si_signo < 32 && info.si_code == SI_USER && info.si_pid == 0;
  if (is_lost && !restore_posix_timer(info)) restore_itimer(info);
}

/// A signal has been accepted: makes of it what the program is to see. False: nothing, it is a
/// leftover.
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

int install(int signo, const action& a) noexcept;

void run_handler(int signo, ::siginfo_t* info, void* context) noexcept {
  action a;
  {
    locked all;
    if (!accept(*info)) return;
    a = wanted[signo];
    if (is_handler(a) && (a.sa_flags & static_cast<int>(SA_RESETHAND)) != 0) {
      action off = a;
      off.sa_handler = SIG_DFL;
      install(signo, off);
    }
  }
  // Another thread may have changed it since the signal was taken out of the queue.
  if (!is_handler(a)) return;
  if ((a.sa_flags & SA_SIGINFO) != 0)
    a.sa_sigaction(signo, info, context);
  else
    a.sa_handler(signo);
}

/// What the kernel does with the signal by itself now.
void note(int signo, const action& a) noexcept {
  wanted[signo] = a;
  if (ignores(signo, a))
    ignored.fetch_or(just(signo));
  else
    ignored.fetch_and(~just(signo));
}

/// Has the kernel do what the program wants, by way of us. What is wanted is kept as the kernel
/// would say it: without unknown flags, without SIGKILL in the mask.
int install(int signo, const action& a) noexcept {
  action ours = a;
  constexpr int not_ours = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
  if (is_handler(a)) {
    ours.sa_sigaction = run_handler;
    // A leftover must not use the handler up: it is reset where it is called.
    ours.sa_flags = (a.sa_flags | SA_SIGINFO) & ~static_cast<int>(SA_RESETHAND);
  }
  if (__sigaction(signo, &ours, nullptr) != 0) return -1;
  action there;
  __sigaction(signo, nullptr, &there);
  if (is_handler(a)) {
    there.sa_sigaction = a.sa_sigaction;
    there.sa_flags = (there.sa_flags & ~not_ours) | (a.sa_flags & not_ours);
  }
  note(signo, there);
  return 0;
}

}  // namespace

void watch(int signo) noexcept {
  action there;
  if (is_watched(signo) || __sigaction(signo, nullptr, &there) != 0) return;
  note(signo, there);
  watched.fetch_or(just(signo));
  if (is_handler(there)) install(signo, there);
}

bool ignores_any() noexcept { return ignored.load(std::memory_order_relaxed) != 0; }

bool is_ignored(int signo) noexcept { return (ignored.load() & just(signo)) != 0; }

void notice_ignored(signal_set mask) noexcept {
  const signal_set may_go = ignored.load() & ~mask;
  if (may_go == 0) return;
  const signal_set goes = pending_signals() & may_go;
  const int self = static_cast<int>(raw(SYS_gettid));
  for (int signo = 1; goes >> (signo - 1) != 0 && signo <= last_signal; ++signo) {
    if ((goes & just(signo)) == 0) continue;
    now_ignored_posix_timers(signo, self);
    if (self == own_pid()) now_ignored_itimers(signo);
  }
}

arrival arrival_of(const ::siginfo_t& info) noexcept {
  return {info.si_signo, info.si_code, info.si_code == SI_TIMER ? info.si_timerid : 0,
          info.si_code == SI_TIMER ? info.si_overrun : 0,
          info.si_code == SI_TKILL || (info.si_code == SI_TIMER && tells_thread(info.si_timerid))};
}

namespace {

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
  // One thread beside the engine's: the process is as good. Its folder has a link for each.
  struct ::stat task{};
  if (raw(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &task, 0) != 0 || task.st_nlink <= 4)
    return 0;
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

/// Queues a signal for the process, but so that this thread of it is woken before others. As the kernel's timers do;
/// others may since Linux 6.9 (pidfd_send_signal(2)).
long prefer(int tid, int signo, const ::siginfo_t& info) noexcept {
  constexpr unsigned of_thread = O_EXCL;  // PIDFD_THREAD (linux/pidfd.h)
  constexpr unsigned for_group = 1 << 1;  // PIDFD_SIGNAL_THREAD_GROUP
  const long fd = raw(SYS_pidfd_open, tid, of_thread);
  if (fd < 0) return fd;
  long error =
      raw(SYS_tgkill, own_pid(), tid, 0);  // it may have ended, and its number be another program's
  if (error == 0) error = raw(SYS_pidfd_send_signal, fd, signo, &info, for_group);
  raw(SYS_close, fd);
  return error;
}

}  // namespace

void after_fork() noexcept { known = {}; }

bool is_pending(int signo, int tid) noexcept {
  if (tid <= 0 || tid == raw(SYS_gettid)) return (pending_signals() & just(signo)) != 0;
  thread_status status;
  return read_status(tid, status) && (status.pending & just(signo)) != 0;
}

sent queue(::siginfo_t info, int whom) noexcept {
  const int signo = info.si_signo;
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
  if (error == -EAGAIN) return sent::failed;
  if (error != 0) return sent::ignored;  // there is no such thread any more
  return !may_vanish || is_pending(signo, whom) ? sent::queued : sent::ignored;
}

void purge(int signo, bool (*is_leftover)(const arrival&)) noexcept {
  // Taken out and put back in order. All signals are blocked in this thread; another that waits for
  // this one goes on waiting.
  static ::siginfo_t kept[512];  // under the lock
  std::size_t count = 0;
  const signal_set set = just(signo);
  const ::timespec at_once{};
  while (count < std::size(kept)) {
    ::siginfo_t& info = kept[count];
    if (raw(SYS_rt_sigtimedwait, &set, &info, &at_once, sizeof set) < 0) break;
    uncarry(info);  // it may have been put back before
    if (!is_leftover(arrival_of(info))) ++count;
  }
  for (std::size_t i = 0; i < count; ++i) {
    // What was sent to a thread looks so, except by pthread_sigqueue(3).
    const bool is_for_thread = arrival_of(kept[i]).is_for_thread;
    carry(kept[i]);
    const int pid = own_pid();
    if (is_for_thread)
      raw(SYS_rt_tgsigqueueinfo, pid, raw(SYS_gettid), signo, &kept[i]);
    else
      raw(SYS_rt_sigqueueinfo, pid, signo, &kept[i]);
  }
}

void adopt() noexcept {
  locked all;
  for (const int signo : {SIGALRM, SIGVTALRM, SIGPROF})
    if ((pending_signals() & just(signo)) != 0) watch(signo);
}

namespace {

void notice_dropped() noexcept {
  if (!ignores_any()) return;
  const locked all;
  for (int signo = 1; signo <= last_signal; ++signo)
    if (is_ignored(signo)) notice_dropped_posix_timers(signo);
  notice_dropped_itimers();
}

long set_action(int signo, const action* to, action* old) noexcept {
  if (is_vfork_child()) {
    action was{};
    if (__sigaction(signo, to, &was) != 0) return -errno;
    if (old != nullptr) *old = was.sa_sigaction == run_handler ? wanted[signo] : was;
    return 0;
  }
  locked all;
  if (!is_watched(signo)) return __sigaction(signo, to, old) == 0 ? 0 : -errno;
  const action was = wanted[signo];
  if (to != nullptr) {
    notice_dropped_posix_timers(signo);
    notice_dropped_itimers();
    const action next = *to;  // may be the same object as *old
    if (install(signo, next) != 0) return -errno;
    if (ignores(signo, next)) {
      now_ignored_posix_timers(signo, every_thread);
      now_ignored_itimers(signo);
    } else if (was.sa_handler == SIG_IGN) {  // not by default: do_sigaction() in signal.c
      no_longer_ignored_posix_timers(signo);
    }
  }
  if (old != nullptr) *old = was;
  return 0;
}

using handler = void (*)(int);

handler set_handler(int signo, handler to, int flags, bool masks) noexcept {
  action next{};
  next.sa_handler = to;
  next.sa_flags = flags;
  if (masks) ::sigaddset(&next.sa_mask, signo);
  action old{};
  return to_libc(set_action(signo, &next, &old)) == 0 ? old.sa_handler : SIG_ERR;
}

constinit std::atomic<signal_set> interrupts = 0;  // siginterrupt(3)

/// What a wait of this thread has taken out of the queue, until its timer has heard of it.
struct taken {
  ::siginfo_t info;
  ::signalfd_siginfo read;  // as it comes from a signalfd
  bool is_heard;
  bool counts;
};
constinit thread_local taken mine{};

::siginfo_t info_of(const ::signalfd_siginfo& from) noexcept {
  ::siginfo_t info{};
  info.si_signo = static_cast<int>(from.ssi_signo);
  info.si_errno = from.ssi_errno;
  info.si_code = from.ssi_code;
  if (from.ssi_code == SI_TIMER) {
    info.si_timerid = static_cast<int>(from.ssi_tid);
    info.si_overrun = static_cast<int>(from.ssi_overrun);
  } else {
    info.si_pid = static_cast<::pid_t>(from.ssi_pid);
    info.si_uid = from.ssi_uid;
  }
  info.si_value.sival_ptr = reinterpret_cast<void*>(from.ssi_ptr);
  return info;
}

/// True if it counts, so that the program sees it.
bool heard() noexcept {
  const locked all;
  return mine.counts;
}

constinit ::pthread_key_t at_thread_end = ~::pthread_key_t{0};  // none yet
[[gnu::constructor(102)]] void hear_at_thread_ends() noexcept {
  ::pthread_key_create(&at_thread_end, [](void*) { heard(); });
}

/// In steps, as a handler may come in between: nothing looks as if it were unheard.
void forget_mine() noexcept {
  mine.info.si_signo = 0;
  mine.read.ssi_signo = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  mine.is_heard = mine.counts = false;
}

/// A wait may interrupt another of the same thread (in a handler), or come after one that was left.
class one_wait {
 public:
  one_wait() noexcept {
    ::pthread_setspecific(at_thread_end, &mine);
    if (has_unheard()) heard();
    outer_ = mine;
    forget_mine();
  }
  one_wait(const one_wait&) = delete;
  one_wait& operator=(const one_wait&) = delete;
  ~one_wait() {
    forget_mine();
    mine.is_heard = outer_.is_heard;
    mine.counts = outer_.counts;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    mine.info = outer_.info;
    mine.read = outer_.read;
  }

 private:
  taken outer_;
};

/// sigtimedwait(2) until something comes that counts.
long wait_for(const void* set, ::siginfo_t& info, const ::timespec* timeout, wait_as how) {
  catch_up();
  nanoseconds left{};
  if (timeout != nullptr) {
    const auto given = chime::from_timespec(*timeout);
    if (!given) return raw(SYS_rt_sigtimedwait, set, nullptr, timeout, sizeof(signal_set));
    left = clocks::to_real(*given);
  }
  ::timespec now{};
  clocks::read_real(CLOCK_MONOTONIC, now);
  const nanoseconds end =
      chime::rules::saturating_add(chime::from_timespec(now).value_or(nanoseconds{}), left);
  const one_wait this_one;
  for (;; forget_mine()) {
    const ::timespec rest = chime::to_timespec<::timespec>(left);
    const long result = wait(how, SYS_rt_sigtimedwait, set, &mine.info,
                             timeout == nullptr ? nullptr : &rest, sizeof(signal_set));
    if (result < 0) return result;
    if (heard()) {
      info = mine.info;
      return result;
    }
    clocks::read_real(CLOCK_MONOTONIC, now);
    left = chime::rules::remaining(end, chime::from_timespec(now).value_or(nanoseconds{}));
  }
}

/// What accept() may have changed.
void put_right(::signalfd_siginfo& to, const ::siginfo_t& info) noexcept {
  to.ssi_code = info.si_code;
  to.ssi_errno = info.si_errno;
  if (info.si_code == SI_TIMER) {
    to.ssi_tid = static_cast<std::uint32_t>(info.si_timerid);
    to.ssi_overrun = static_cast<std::uint32_t>(info.si_overrun);
  }
  to.ssi_ptr = reinterpret_cast<std::uintptr_t>(info.si_value.sival_ptr);
  to.ssi_int = info.si_value.sival_int;
}

}  // namespace

bool has_unheard() noexcept {
  return !mine.is_heard && (mine.info.si_signo != 0 || mine.read.ssi_signo != 0);
}

void hear() noexcept {
  if (!has_unheard()) return;
  if (mine.read.ssi_signo != 0) mine.info = info_of(mine.read);
  mine.counts = accept(mine.info);
  mine.is_heard = true;
}

}  // namespace signals

long read_signalfd(int fd, std::size_t size, wait_as how, const deliver& to) noexcept {
  using namespace signals;
  constexpr std::size_t one = sizeof(::signalfd_siginfo);
  if (size < one) return -EINVAL;
  catch_up();
  const one_wait this_one;
  std::size_t done = 0;
  // For the first only it waits.
  for (; done == 0; forget_mine()) {
    ::signalfd_siginfo& first = mine.read;
    const long bytes = how == wait_as::not_at_all ? read_at_once(fd, &first, one)
                                                  : wait(how, SYS_read, fd, &first, one);
    if (bytes <= 0) return bytes;
    if (!heard()) continue;
    put_right(first, mine.info);
    if (to(&first, one) != 0) return -EFAULT;
    done = one;
  }
  // When that is accepted, others may come that stood behind it. Nobody leaves in the middle of these.
  const locked all;
  for (::signalfd_siginfo next; size - done >= one && read_at_once(fd, &next, one) > 0;) {
    ::siginfo_t info = info_of(next);
    if (!accept(info)) continue;
    put_right(next, info);
    if (to(&next, one, done) != 0) break;
    done += one;
  }
  return word(done);
}

namespace sys {

long rt_sigprocmask(int how, const void* set, void* old, std::size_t size) noexcept {
  const long result = raw(SYS_rt_sigprocmask, how, set, old, size);
  if (how != SIG_BLOCK && set != nullptr) signals::notice_dropped();
  return result;
}

namespace {
/// The kernel's struct sigaction (asm/signal.h, asm-generic/signal.h).
struct kernel_action {
  void (*handler)(int);
  unsigned long flags;
#if defined(__x86_64__)
  void (*restorer)();
#endif
  signal_set mask;
};
}  // namespace

long rt_sigaction(int signo, const void* to, void* old, std::size_t size) noexcept {
  using namespace signals;
  if (!is_watched(signo) || size != sizeof(signal_set) || signo == SIGKILL || signo == SIGSTOP)
    return raw(SYS_rt_sigaction, signo, to, old, size);
  kernel_action k{};
  action next{};
  if (to != nullptr) {
    if (copy_in(&k, to, sizeof k) != 0) return -EFAULT;
    next.sa_handler = k.handler;
    next.sa_flags = static_cast<int>(k.flags);
    std::memcpy(&next.sa_mask, &k.mask, sizeof k.mask);
  }
  action was{};
  if (const long error = set_action(signo, to != nullptr ? &next : nullptr, &was); error != 0)
    return error;
  if (old == nullptr) return 0;
  k = {};
  k.handler = was.sa_handler;
  k.flags = static_cast<unsigned>(was.sa_flags);
#if defined(__x86_64__)
  k.restorer = was.sa_restorer;
#endif
  std::memcpy(&k.mask, &was.sa_mask, sizeof k.mask);
  return copy_out(old, &k, sizeof k);
}

long rt_sigtimedwait(const void* set, void* out, const ::timespec* timeout,
                     std::size_t size) noexcept {
  using namespace signals;
  ::timespec given{};
  if (size != sizeof(signal_set) || (timeout != nullptr && copy_in(given, timeout) != 0))
    return raw(SYS_rt_sigtimedwait, set, out, timeout, size);
  ::siginfo_t info;
  const long result =
      wait_for(set, info, timeout == nullptr ? nullptr : &given, wait_as::system_call);
  if (result > 0 && out != nullptr && copy_out(out, &info, sizeof info) != 0) return -EFAULT;
  return result;
}

}  // namespace sys
}  // namespace preload

using namespace preload;
using namespace preload::signals;

PRELOAD_EXPORT(int, sigaction, int signo, const action* to, action* old) {
  return static_cast<int>(to_libc(set_action(signo, to, old)));
}

PRELOAD_EXPORT(handler, signal, int signo, handler to) {
  if (to == SIG_ERR) return PRELOAD_NEXT(signal)(signo, to);
  const bool interrupting = (interrupts.load() & just(signo)) != 0;
  return set_handler(signo, to, interrupting ? 0 : SA_RESTART, true);
}
PRELOAD_EXPORT(handler, bsd_signal, int signo, handler to) { return preload_signal(signo, to); }
PRELOAD_EXPORT(handler, ssignal, int signo, handler to) { return preload_signal(signo, to); }
PRELOAD_EXPORT(handler, __sysv_signal, int signo, handler to) {
  if (to == SIG_ERR) return PRELOAD_NEXT(__sysv_signal)(signo, to);
  return set_handler(signo, to, static_cast<int>(SA_RESETHAND | SA_NODEFER), false);
}
PRELOAD_EXPORT(handler, sysv_signal, int signo, handler to) {
  return preload___sysv_signal(signo, to);
}
PRELOAD_EXPORT(int, siginterrupt, int signo, int on) {
  if (signo >= 1 && signo <= last_signal) {
    if (on != 0)
      interrupts.fetch_or(just(signo));
    else
      interrupts.fetch_and(~just(signo));
  }
  if (!is_watched(signo)) return PRELOAD_NEXT(siginterrupt)(signo, on);
  action a{};
  set_action(signo, nullptr, &a);
  a.sa_flags = on != 0 ? a.sa_flags & ~SA_RESTART : a.sa_flags | SA_RESTART;
  return static_cast<int>(to_libc(set_action(signo, &a, nullptr)));
}
PRELOAD_EXPORT(int, sigignore, int signo) {
  if (!is_watched(signo)) return PRELOAD_NEXT(sigignore)(signo);
  return set_handler(signo, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}
// System V: setting a disposition unblocks the signal, SIG_HOLD blocks it (sigset(3)).
PRELOAD_EXPORT(handler, sigset, int signo, handler to) {
  if (!is_watched(signo) || to == SIG_ERR) return PRELOAD_NEXT(sigset)(signo, to);
  const bool holds = to == SIG_HOLD;
  action old{};
  action next{};
  next.sa_handler = to;
  if (to_libc(set_action(signo, holds ? nullptr : &next, &old)) != 0) return SIG_ERR;
  const signal_set was = set_mask(holds ? SIG_BLOCK : SIG_UNBLOCK, just(signo));
  return (was & just(signo)) != 0 ? SIG_HOLD : old.sa_handler;
}

PRELOAD_EXPORT(int, sigtimedwait, const ::sigset_t* set, ::siginfo_t* info,
               const ::timespec* timeout) {
  ::timespec given{};
  if (timeout != nullptr && copy_in(given, timeout) != 0) return static_cast<int>(to_libc(-EFAULT));
  ::siginfo_t own;
  long result =
      wait_for(set, own, timeout == nullptr ? nullptr : &given, wait_as::cancellation_point);
  if (result > 0 && own.si_code == SI_TKILL) own.si_code = SI_USER;  // as glibc has it
  if (result > 0 && info != nullptr && copy_out(info, own) != 0) result = -EFAULT;
  return static_cast<int>(to_libc(result));
}
PRELOAD_EXPORT(int, sigwaitinfo, const ::sigset_t* set, ::siginfo_t* info) {
  return preload_sigtimedwait(set, info, nullptr);
}
PRELOAD_EXPORT(int, sigwait, const ::sigset_t* set, int* signo) {
  const int saved = errno;
  long result = 0;
  ::siginfo_t info;
  do {
    result = wait_for(set, info, nullptr, wait_as::cancellation_point);
  } while (result == -EINTR);
  errno = result < 0 ? static_cast<int>(-result) : saved;
  if (result < 0) return errno;
  if (signo != nullptr) *signo = static_cast<int>(result);
  return 0;
}

// What is unblocked and ignored is dropped then.
PRELOAD_EXPORT(int, pthread_sigmask, int how, const ::sigset_t* set, ::sigset_t* old) {
  const int result = PRELOAD_NEXT(pthread_sigmask)(how, set, old);
  if (how != SIG_BLOCK && set != nullptr) notice_dropped();
  return result;
}
PRELOAD_EXPORT(int, sigprocmask, int how, const ::sigset_t* set, ::sigset_t* old) {
  const int result = PRELOAD_NEXT(sigprocmask)(how, set, old);
  if (how != SIG_BLOCK && set != nullptr) notice_dropped();
  return result;
}
PRELOAD_EXPORT(int, sigpending, ::sigset_t* set) {
  catch_up();
  return PRELOAD_NEXT(sigpending)(set);
}
