// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The ways to take a signal out of the queue without a handler: sigwait(3) and its kind, reads of a signalfd(2).

#include "signals.hpp"

#include "clocks.hpp"
#include "process.hpp"
#include "reads.hpp"
#include "symbol.hpp"
#include "sys.hpp"

#include <sys/signalfd.h>
#include <chime/duration.hpp>

#include <atomic>

namespace preload {
namespace signals {
namespace {

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

long sys::rt_sigtimedwait(const void* set, void* out, const ::timespec* timeout,
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

}  // namespace preload

using namespace preload;
using namespace preload::signals;

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

PRELOAD_EXPORT(int, sigpending, ::sigset_t* set) {
  catch_up();
  return PRELOAD_NEXT(sigpending)(set);
}
