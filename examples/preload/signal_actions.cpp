// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What the program has signals do, and how its handlers are called.

#include "signals.hpp"

#include "process.hpp"
#include "symbol.hpp"
#include "sys.hpp"

#include <atomic>

// libc's own, past our symbol of the name without underscores.
extern "C" int __sigaction(int, const struct ::sigaction*, struct ::sigaction*) noexcept;

namespace preload {
namespace signals {
namespace {

constexpr int last_signal = 64;
using action = struct ::sigaction;

/// What the program wants of each signal that timers tell by. The kernel has ours.
constinit action wanted[last_signal + 1]{};
/// The last handler of each, which may have been called already when it is no longer wanted.
constinit action handlers[last_signal + 1]{};
/// Those whose handler was for one signal only (SA_RESETHAND) and has been called.
constinit signal_set used_up = 0;
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

int install(int signo, const action& a) noexcept;

/// What the kernel has called a handler for, as it was wanted then.
action take_handler(int signo) noexcept {
  action a = wanted[signo];
  if (!is_handler(a)) {
    // Changed since the kernel made the call, by another thread or in a handler that came before. But one that is used up
    // would have been so for the kernel, too.
    return (used_up & just(signo)) != 0 ? a : handlers[signo];
  }
  if ((a.sa_flags & static_cast<int>(SA_RESETHAND)) != 0) {
    action off = a;
    off.sa_handler = SIG_DFL;
    install(signo, off);
    used_up |= just(signo);
  }
  return a;
}

void run_handler(int signo, ::siginfo_t* info, void* context) noexcept {
  action a;
  if (is_vfork_child()) {
    a = wanted[signo];  // for a timer of the kernel's
  } else {
    locked all;
    // Of a leftover the kernel takes no notice. Whatever is behind it comes now: this may be the only moment when the signal is
    // not blocked (ppoll(2) and its kind).
    const signal_set only = just(signo);
    const ::timespec at_once{};
    while (!accept(*info))
      if (raw(SYS_rt_sigtimedwait, &only, info, &at_once, sizeof only) < 0) return;
    a = take_handler(signo);
  }
  if (!is_handler(a)) {  // used up: by default, as for the kernel
    raw(SYS_tgkill, own_pid(), raw(SYS_gettid), signo);
    return;
  }
  if ((a.sa_flags & SA_SIGINFO) != 0)
    a.sa_sigaction(signo, info, context);
  else
    a.sa_handler(signo);
}

/// What the kernel does with the signal by itself now.
void note(int signo, const action& a) noexcept {
  wanted[signo] = a;
  if (is_handler(a)) handlers[signo] = a;
  used_up &= ~just(signo);
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

/// While system(3) runs, libc ignores two signals, past our symbols.
class ignored_by_system {
 public:
  ignored_by_system() noexcept {
    const locked all;
    if (users++ != 0) return;
    for (const int signo : signals) {
      if (!is_watched(signo) || is_ignored(signo)) continue;
      ignored.fetch_or(just(signo));
      now_ignored_posix_timers(signo, every_thread);
    }
  }
  ignored_by_system(const ignored_by_system&) = delete;
  ignored_by_system& operator=(const ignored_by_system&) = delete;
  ~ignored_by_system() {
    const locked all;
    if (--users != 0) return;
    for (const int signo : signals) {
      if (!is_watched(signo) || ignores(signo, wanted[signo])) continue;
      notice_dropped_posix_timers(signo);  // libc blocks all signals while it starts the child
      ignored.fetch_and(~just(signo));
      no_longer_ignored_posix_timers(signo);
    }
  }

 private:
  static constexpr int signals[] = {SIGINT, SIGQUIT};
  static constinit inline unsigned users = 0;
};

}  // namespace
}  // namespace signals

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

PRELOAD_EXPORT(int, system, const char* command) {
  if (command == nullptr || is_vfork_child()) return PRELOAD_NEXT(system)(command);
  const ignored_by_system meanwhile;
  return PRELOAD_NEXT(system)(command);
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
