// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// How timers that tell by signals are heard without anybody feeling one.
///
///     POSIX timers ---SIGEV_THREAD_ID---> hidden thread: all blocked, takes siginfo in batches
///                                            ^   |
///     interval timers ---> handler: counts, -+   +--> signalled::heard() ---> who waits for it
///                          rings a bell
///
/// The thread is there while there are timers. Nobody else has to block anything. POSIX timers
/// interrupt no other thread, and no handler is called for them. An interval timer's signal cannot
/// be aimed: it comes to some thread that does not block it (P13), whose system call goes on
/// (SA_RESTART, as far as that goes: signal(7)); the hidden thread is one, should all others block.

#include <chime/detail/mutex.hpp>
#include <chime/error.hpp>
#include <chime/itimer_kind.hpp>
#include <chime/shim/descriptor.hpp>
#include <chime/shim/itimer.hpp>
#include <chime/shim/posix_timer.hpp>
#include <chime/shim/result.hpp>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace chime::kernel {

/// A timer whose expirations are told by a signal. Called by the hidden thread, with the bridge
/// locked. From `forget` on it is not called.
class signalled {
 public:
  virtual void heard(std::uint64_t expirations) noexcept = 0;

 protected:
  ~signalled() = default;
};

class signal_bridge {
 public:
  /// The process's. It is never destroyed, for timers may outlive everything.
  [[nodiscard]] static signal_bridge& get() {
    static signal_bridge& only = *new signal_bridge;
    return only;
  }

  signal_bridge(const signal_bridge&) = delete;
  signal_bridge& operator=(const signal_bridge&) = delete;

  /// While somebody holds the lock, nothing is heard: what a timer has told and nobody has heard is
  /// still the kernel's, which drops it when the timer is set or deleted (P4, P9).
  void lock() noexcept { mutex_.lock(); }
  void unlock() noexcept { mutex_.unlock(); }

  /// Creates a POSIX timer that tells `who`. Errors: timer_create(2)'s, and those of the descriptors
  /// and the thread that the first timer needs.
  [[nodiscard]] shim::result<shim::posix_timer> create(shim::clock_id clock, signalled& who,
                                                       std::uint32_t& ticket) {
    std::thread done;
    const joined_at_end wait{done};
    const std::lock_guard lock{mutex_};
    if (const error_code ec = listen()) return ec;
    const auto undo = [&] {
      posix_timers_.erase(ticket);
      done = stop_if_unused();
    };
    try {
      while (!posix_timers_.try_emplace(ticket = ++last_ticket_, &who).second) continue;
    } catch (...) {
      undo();
      throw;
    }
    ::sigval value{};
    value.sival_int = static_cast<int>(ticket);
    const ::sigevent event = shim::notify_thread(ear_->thread_id, ear_->signal, value);
    auto timer = shim::timer_create(clock, &event);
    if (!timer) undo();
    return timer;
  }

  /// Deletes it: from now on it is not heard. Until then it is the owner's, who may be called.
  void destroy(shim::posix_timer& timer, std::uint32_t ticket) noexcept {
    std::thread done;
    const joined_at_end wait{done};
    const std::lock_guard lock{mutex_};
    // In a forked child that number may be another's by now.
    if (posix_timers_.erase(ticket) == 0) (void)timer.release();
    timer = {};
    done = stop_if_unused();
  }

  /// Nobody is told of its expirations any more, though the timer is still there.
  void forget(std::uint32_t ticket) noexcept {
    const std::lock_guard lock{mutex_};
    if (const auto found = posix_timers_.find(ticket); found != posix_timers_.end())
      found->second = nullptr;
  }
  void forget(itimer_kind kind) noexcept {
    const std::lock_guard lock{mutex_};
    itimers_[index(kind)].owner = nullptr;
  }

  /// Whether the timer is this process's own: not in a child that was forked since. \pre locked
  [[nodiscard]] bool knows(std::uint32_t ticket) const noexcept {
    return posix_timers_.contains(ticket);
  }

  /// Has the signals of an interval timer told to `who`. EBUSY: somebody has it (I1).
  [[nodiscard]] error_code claim(itimer_kind kind, signalled& who) {
    std::thread done;
    const joined_at_end wait{done};
    const std::lock_guard lock{mutex_};
    itimer& mine = itimers_[index(kind)];
    if (mine.timer.has_value()) return error::from_errno(EBUSY);
    if (const error_code ec = listen()) return ec;
    auto borrowed = shim::borrowed_itimer::take(shim::id_of(kind));
    if (!borrowed) {
      done = stop_if_unused();
      return borrowed.error();
    }
    // What is pending of the earlier owner's is none of ours.
    struct ::sigaction action{};
    action.sa_sigaction = &on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    ::sigfillset(&action.sa_mask);
    ::sigaction(signal_of(kind), &action, &mine.earlier);
    drop_pending(kind);
    is_owned_[index(kind)] = true;
    told_[index(kind)] = 0;
    mine.timer = std::move(*borrowed);
    mine.owner = &who;
    ring();  // the thread unblocks that signal
    return {};
  }

  /// What was told of ITIMER_REAL has been taken. While it has not, a second signal puts that timer
  /// to rest: as each signal that is accepted re-arms it (I4), one of a microsecond would leave its
  /// thread time for nothing but the handler. \return whether it rests, and is to be set anew
  [[nodiscard]] static bool real_was_taken() noexcept {
    is_untaken_ = false;
    return is_at_rest_.exchange(false);
  }

  /// What the handler was told of an interval timer reaches its owner. \pre locked
  void hear(itimer_kind kind) noexcept {
    const itimer& i = itimers_[index(kind)];
    const std::uint64_t told = told_[index(kind)].exchange(0);
    if (told != 0 && i.owner) i.owner->heard(told);
  }

  /// The thread is there, as after a fork it was not. \pre locked, and the timer is claimed
  [[nodiscard]] error_code ensure_thread() {
    if (ear_) return {};
    const error_code ec = listen();
    ring();
    return ec;
  }

  /// Gives the interval timer back, its handler and setting as they were.
  void unclaim(itimer_kind kind) noexcept {
    itimer& mine = itimers_[index(kind)];
    lock();
    (void)shim::setitimer(shim::id_of(kind), shim::itimerval{});
    mine.owner = nullptr;
    mine.is_ending = true;
    const unsigned asked = ear_ ? ++asked_ : applied_.load();
    ring();
    unlock();
    // The earlier handler is not for the hidden thread: first that blocks the signal again.
    for (unsigned applied = applied_; static_cast<int>(applied - asked) < 0; applied = applied_)
      applied_.wait(applied);

    std::thread done;
    const joined_at_end wait{done};
    const std::lock_guard locked{mutex_};
    drop_pending(kind);              // nor is what is pending all the same (I6)
    is_owned_[index(kind)] = false;  // whoever only now enters the handler does nothing there
    wait_for_handlers();
    ::sigaction(signal_of(kind), &mine.earlier, nullptr);
    mine = {};
    done = stop_if_unused();
  }

  /// The signal that the hidden thread takes: SIGRTMAX - 2, unless set otherwise while there are no
  /// timers (else EBUSY). EINVAL: no signal, one that cannot be blocked, or an interval timer's.
  void use_signal(int signal, error_code& ec) noexcept {
    const std::lock_guard lock{mutex_};
    ::sigset_t set;
    ::sigemptyset(&set);
    ec = {};
    bool is_free = ::sigaddset(&set, signal) == 0;
    for (const int other :
         {SIGKILL, SIGSTOP, SIGALRM, SIGVTALRM, SIGPROF, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP})
      is_free = is_free && signal != other;
    if (!is_free)
      ec = error::invalid_argument();
    else if (ear_)
      ec = error::from_errno(EBUSY);
    else
      signal_ = signal;
  }

 private:
  static constexpr std::size_t kinds = 3;

  /// The hidden thread, and how to talk to it.
  struct ear {
    std::thread thread;
    std::atomic<pid_t> thread_id = 0;
    int signal = 0;
    shim::descriptor signals;
    shim::descriptor bell;  // eventfd
    bool is_stopped = false;
  };

  /// An interval timer that somebody has.
  struct itimer {
    signalled* owner = nullptr;
    bool is_ending = false;
    struct ::sigaction earlier{};
    shim::borrowed_itimer timer;
  };

  struct joined_at_end {
    std::thread& thread;
    ~joined_at_end() {
      if (thread.joinable()) thread.join();
    }
  };

  signal_bridge() {
    ::pthread_atfork([] { get().lock(); }, [] { get().unlock(); }, [] { get().forked(); });
  }

  static constexpr std::size_t index(itimer_kind kind) noexcept {
    return static_cast<std::size_t>(kind);
  }
  static constexpr int signal_of(itimer_kind kind) noexcept {
    if (kind == itimer_kind::real) return SIGALRM;
    return kind == itimer_kind::virt ? SIGVTALRM : SIGPROF;
  }

  /// Drops what is pending of an interval timer's signal. Not by SIG_IGN: that a program would
  /// inherit that another thread runs meanwhile (posix_spawn, vfork).
  static void drop_pending(itimer_kind kind) noexcept {
    ::sigset_t one, before;
    ::sigemptyset(&one);
    ::sigaddset(&one, signal_of(kind));
    ::pthread_sigmask(SIG_BLOCK, &one, &before);
    const ::timespec now{};
    while (::sigtimedwait(&one, nullptr, &now) > 0) continue;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  /// The handler of interval timers. On any thread, in the midst of anything.
  static void on_signal(int signal, ::siginfo_t* info, void*) noexcept {
    if (info->si_code != SI_KERNEL) return;  // somebody's kill(2)
    const int kept = errno;
    in_handler_.fetch_add(1);
    const auto kind = signal == SIGALRM     ? itimer_kind::real
                      : signal == SIGVTALRM ? itimer_kind::virt
                                            : itimer_kind::prof;
    if (!is_owned_[index(kind)]) {
      in_handler_.fetch_sub(1);
      errno = kept;
      return;
    }
    if (signal == SIGALRM && is_untaken_.exchange(true)) {
      (void)shim::setitimer(shim::itimer_id::real, shim::itimerval{});
      is_at_rest_ = true;  // only then: whoever hears of this signal sees that it rests
    }
    told_[index(kind)].fetch_add(1);
    ring();
    in_handler_.fetch_sub(1);
    errno = kept;
  }

  static void wait_for_handlers() noexcept {
    while (in_handler_ != 0) std::this_thread::yield();
  }

  static void ring() noexcept {
    const int bell = bell_.load();
    const std::uint64_t one = 1;
    if (bell != -1) (void)!::write(bell, &one, sizeof one);
  }

  /// Starts the thread, unless it is there.
  [[nodiscard]] error_code listen() {
    if (ear_) return {};
    auto fresh = std::make_shared<ear>();
    // (The last two are taken where qemu-user runs the program.)
    fresh->signal = signal_ != 0 ? signal_ : SIGRTMAX - 2;
    ::sigset_t ours, all, before;
    ::sigemptyset(&ours);
    ::sigaddset(&ours, fresh->signal);
    fresh->signals = shim::descriptor{::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (!fresh->signals.is_open()) return shim::last_error();
    fresh->bell = shim::descriptor{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!fresh->bell.is_open()) return shim::last_error();
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);  // the thread is born with it
    error_code ec;
    try {
      fresh->thread = std::thread{[this, fresh] { run(*fresh); }};
    } catch (const std::system_error& e) {
      ec = error::from_errno(e.code().value());
    } catch (const std::bad_alloc&) {
      ec = error::from_errno(ENOMEM);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (ec) return ec;
    fresh->thread_id.wait(0);
    bell_ = fresh->bell.get();
    ear_ = std::move(fresh);
    return {};
  }

  /// \return the thread, to be joined without the lock
  [[nodiscard]] std::thread stop_if_unused() noexcept {
    if (!ear_ || !posix_timers_.empty()) return {};
    for (const itimer& i : itimers_)
      if (i.timer.has_value()) return {};
    ear_->is_stopped = true;
    ring();
    bell_ = -1;
    wait_for_handlers();  // one may have the bell in its hand
    return std::move(std::exchange(ear_, nullptr)->thread);
  }

  void run(ear& mine) {
    mine.thread_id = ::gettid();
    mine.thread_id.notify_one();
    std::array<::pollfd, 2> fds{{{mine.signals.get(), POLLIN, 0}, {mine.bell.get(), POLLIN, 0}}};
    for (;;) {
      (void)::poll(fds.data(), fds.size(), -1);
      const std::lock_guard lock{mutex_};  // no signal is taken without it
      if (mine.is_stopped) return;
      hear_posix_timers(mine);
      if (fds[1].revents != 0) hear_itimers(mine);
    }
  }

  void hear_posix_timers(const ear& mine) noexcept {
    std::array<::signalfd_siginfo, 32> batch;
    const auto bytes = ::read(mine.signals.get(), batch.data(), sizeof batch);
    if (bytes <= 0) return;
    const auto count = static_cast<std::size_t>(bytes) / sizeof batch[0];
    for (std::size_t i = 0; i != count; ++i) {
      if (batch[i].ssi_code != SI_TIMER) continue;
      const auto found = posix_timers_.find(static_cast<std::uint32_t>(batch[i].ssi_int));
      if (found != posix_timers_.end() && found->second)
        found->second->heard(std::uint64_t{1} + batch[i].ssi_overrun);
    }
  }

  void hear_itimers(const ear& mine) noexcept {
    std::uint64_t rings = 0;
    (void)!::read(mine.bell.get(), &rings, sizeof rings);
    ::sigset_t blocked;
    ::sigfillset(&blocked);
    for (const itimer_kind kind : {itimer_kind::real, itimer_kind::virt, itimer_kind::prof}) {
      const itimer& i = itimers_[index(kind)];
      if (!i.timer.has_value() || i.is_ending) continue;
      ::sigdelset(&blocked, signal_of(kind));
      hear(kind);
    }
    ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
    applied_ = asked_;
    applied_.notify_all();
  }

  /// In the child there are neither the POSIX timers (P10) nor the thread, and the interval timers
  /// are off (I7). Called with the lock.
  void forked() noexcept {
    posix_timers_.clear();
    for (itimer& i : itimers_) i.timer.forget_earlier();
    bell_ = -1;
    in_handler_ = 0;
    for (auto& told : told_) told = 0;
    (void)real_was_taken();
    if (ear_) {
      ear_->thread.detach();
      ear_->signals = {};  // the dead thread's own share of it is never given up
      ear_->bell = {};
      ear_ = nullptr;
    }
    unlock();
  }

  // The handler's.
  static inline std::atomic<int> bell_ = -1;
  static inline std::atomic<int> in_handler_ = 0;
  static inline std::array<std::atomic<bool>, kinds> is_owned_{};
  static inline std::array<std::atomic<unsigned>, kinds> told_{};
  static inline std::atomic<bool> is_untaken_ = false;  // REAL has told, and nobody has taken it
  static inline std::atomic<bool> is_at_rest_ = false;  // REAL is disarmed, though it is set

  detail::mutex mutex_;
  int signal_ = 0;
  std::uint32_t last_ticket_ = 0;
  std::shared_ptr<ear> ear_;                                    // while there are timers
  std::unordered_map<std::uint32_t, signalled*> posix_timers_;  // by what their signals say
  std::array<itimer, kinds> itimers_;
  unsigned asked_ = 0;                 // how often the hidden thread was to change its mask
  std::atomic<unsigned> applied_ = 0;  // which of those it has done
};

/// Has the timers of posix_timer tell by this signal, which only a hidden thread ever takes. Unless
/// set it is SIGRTMAX - 2. Fails with EBUSY while any timer of posix_timer or itimer is open, and
/// with EINVAL for what is no signal, cannot be blocked, tells of a fault, or is an interval
/// timer's. Thread safety: any thread.
inline void use_timer_signal(int signal, error_code& ec) {
  signal_bridge::get().use_signal(signal, ec);
}
inline void use_timer_signal(int signal) {
  error_code ec;
  use_timer_signal(signal, ec);
  if (ec) throw system_error{ec};
}

}  // namespace chime::kernel
