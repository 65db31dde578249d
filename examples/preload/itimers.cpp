// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "itimers.hpp"
#include "clocks.hpp"
#include "process.hpp"
#include "signals.hpp"
#include "symbol.hpp"
#include "sys.hpp"
#include "trace.hpp"

#include <chime/duration.hpp>
#include <chime/engine/itimer_model.hpp>
#include <chime/engine/ticking_itimer.hpp>

namespace preload {

using chime::engine::base;
using chime::engine::timer_spec;

namespace {

template <class Model>
struct itimer : node {
  template <class... Arguments>
  constexpr explicit itimer(int with, Arguments... arguments) noexcept
      : node{kind::itimer}, signo{with}, model{arguments...} {}
  int signo;
  Model model;
  nanoseconds rests_until{};  // on the monotonic clock, if it is on CPU time
};

struct itimers {
  itimer<chime::engine::real_itimer_model> real{SIGALRM};
  itimer<chime::engine::ticking_itimer> user{SIGVTALRM, base::user_cpu};
  itimer<chime::engine::ticking_itimer> prof{SIGPROF, base::process_cpu};
};
alignas(itimers) constinit std::byte storage[sizeof(itimers)]{};
constinit itimers* all_timers = nullptr;

itimers& all() noexcept {
  if (all_timers == nullptr) all_timers = ::new (storage) itimers{};
  return *all_timers;
}

template <class T>
nanoseconds time_of(const T& t) noexcept {
  return the_scheduler().now(t.model.filed_on());
}

template <class T>
void settle(T& t) noexcept {
  file(t, the_scheduler().line(t.model.filed_on()), t.model.next_deadline());
}

/// Calls `what` with the timer; EINVAL where there is none of that number.
template <class What>
long with(int which, What what) noexcept {
  switch (which) {
    case ITIMER_REAL: return what(all().real);
    case ITIMER_VIRTUAL: return what(all().user);
    case ITIMER_PROF: return what(all().prof);
    default: return -EINVAL;
  }
}

template <class T>
void raise(T& t) noexcept {
  ::siginfo_t info{};
  info.si_signo = t.signo;
  info.si_code = SI_KERNEL;
  const int whom = t.signo == SIGALRM ? signals::to_process : signals::to_runner;  // P13
  if (signals::queue(info, whom) == signals::sent::ignored) t.model.ignored();
}

void fire(itimer<chime::engine::real_itimer_model>& t, nanoseconds now) noexcept {
  if (t.model.expire(now)) raise(t);
  settle(t);
}

/// At most once a tick, by the other clock, too: one look may be late, and the next in time. Then the thread that was told
/// would be in its handler yet, where it has the signal blocked, and another be told, as never after the kernel's ticks.
void fire(itimer<chime::engine::ticking_itimer>& t) noexcept {
  const nanoseconds now = clocks::now(CLOCK_MONOTONIC);
  if (now < t.rests_until) return file(t, the_scheduler().line(base::monotonic), t.rests_until);
  t.rests_until = now + clocks::from_real(chime::engine::cpu_look::tick);
  if (t.model.look(time_of(t))) raise(t);
  settle(t);
}

timer_spec get(int which) noexcept {
  signals::notice_dropped_itimers();
  timer_spec left;
  with(which, [&](auto& t) {
    left = t.model.gettime(time_of(t));
    return 0L;
  });
  return left;
}

long set(int which, const timer_spec& to, timer_spec& old) noexcept {
  return with(which, [&](auto& t) {
    signals::watch(t.signo);
    signals::notice_dropped_itimers();
    old = t.model.settime(to, time_of(t)).old;
    settle(t);
    return 0L;
  });
}

::itimerval to_libc_type(const timer_spec& t) noexcept {
  ::itimerval out{};
  out.it_value = chime::to_timeval<::timeval>(t.value);
  out.it_interval = chime::to_timeval<::timeval>(t.interval);
  return out;
}

timer_spec of(const ::itimerval& t) noexcept {
  const auto value = chime::from_timeval(t.it_value);
  const auto interval = chime::from_timeval(t.it_interval);
  if (!value || !interval) return {nanoseconds{-1}, {}};
  return {*value, *interval};
}

/// setitimer(2) on the kernel's own, for what this engine cannot keep.
long kernel_setitimer(int which, const ::itimerval* to, ::itimerval* old) noexcept {
  return raw(SYS_setitimer, which, to, old);
}

}  // namespace

void fire_itimer(node& n, nanoseconds now) noexcept {
  itimers& timers = all();
  if (&n == &timers.real) return fire(timers.real, now);
  fire(&n == &timers.user ? timers.user : timers.prof);
}

void after_fork_itimers() noexcept {
  itimers& timers = all();
  const auto forget = [](auto& t) { chime::engine::time_line::remove(t); };
  forget(timers.real);
  forget(timers.user);
  forget(timers.prof);
  timers.real.model = {};
  timers.user.model = chime::engine::ticking_itimer{base::user_cpu};
  timers.prof.model = chime::engine::ticking_itimer{base::process_cpu};
}

// The kernel's interval timers last over an exec, and nothing else of this process does. So they
// carry what is left over, and are armed for no longer than that.

namespace {
/// Whoever sets a timer on CPU time adds a tick (I5), which is there already of one that is handed over.
nanoseconds without_tick(int which, nanoseconds left) noexcept {
  if (which == ITIMER_REAL || left == nanoseconds::zero()) return left;
  return std::max<nanoseconds>(left - chime::engine::cpu_look::tick, std::chrono::microseconds{1});
}
}  // namespace

void adopt_itimers() noexcept {
  for (const int which : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
    ::itimerval left{};
    if (raw(SYS_getitimer, which, &left) != 0) continue;
    timer_spec there = of(left);
    if (there.value == nanoseconds::zero() && there.interval == nanoseconds::zero()) continue;
    // Expired since, and its signal is pending: what comes now is one with that. (The others are off then, I3.)
    if (which == ITIMER_REAL && there.value == nanoseconds::zero()) there.value = nanoseconds{1};
    const ::itimerval off{};
    kernel_setitimer(which, &off, nullptr);
    there.value = without_tick(which, clocks::from_real(there.value));
    there.interval = clocks::from_real(there.interval);
    locked here;
    timer_spec old;
    set(which, there, old);
  }
}

bool hand_over_itimers() noexcept {
  if (is_vfork_child()) return false;
  locked here;
  bool any = false;
  for (const int which : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
    timer_spec left = get(which);
    if (auto real = all().real.model; which == ITIMER_REAL && real.pending()) {
      // It goes on when its signal is accepted, which stays pending: as good as now, in phase.
      const nanoseconds now = time_of(all().real);
      real.accept(now);
      left = real.gettime(now);
    }
    if (left.value == nanoseconds::zero() && left.interval == nanoseconds::zero()) continue;
    const nanoseconds value = without_tick(which, clocks::to_real(left.value));
    const ::itimerval to = to_libc_type({value, clocks::to_real(left.interval)});
    kernel_setitimer(which, &to, nullptr);
    any = true;
  }
  return any;
}

void take_back_itimers() noexcept {
  const ::itimerval off{};
  for (const int which : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF})
    kernel_setitimer(which, &off, nullptr);
}

namespace signals {

void arrived_itimer(const arrival& signal) noexcept {
  const auto accept = [](auto& t) {
    t.model.accept(time_of(t));
    settle(t);
  };
  if (all_timers == nullptr) return;
  switch (signal.signo) {
    case SIGALRM: return accept(all().real);
    case SIGVTALRM: return accept(all().user);
    case SIGPROF: return accept(all().prof);
    default: return;
  }
}

bool restore_itimer(::siginfo_t& info) noexcept {
  if (all_timers == nullptr) return false;
  const bool is_one = (info.si_signo == SIGALRM && all().real.model.pending()) ||
                      (info.si_signo == SIGVTALRM && all().user.model.pending()) ||
                      (info.si_signo == SIGPROF && all().prof.model.pending());
  if (is_one) info.si_code = SI_KERNEL;
  return is_one;
}

void notice_dropped_itimers() noexcept {
  if (all_timers == nullptr) return;
  // The others do not wait until their signal is accepted.
  auto& t = all().real;
  if (!t.model.pending() || !is_ignored(SIGALRM) || (pending_signals() & just(SIGALRM)) != 0)
    return;
  t.model.accept(time_of(t));
  settle(t);
}

void now_ignored_itimers(int signo) noexcept {
  if (all_timers == nullptr) return;
  switch (signo) {
    case SIGALRM: return all().real.model.ignored();
    case SIGVTALRM: return all().user.model.ignored();
    case SIGPROF: return all().prof.model.ignored();
    default: return;
  }
}

}  // namespace signals

namespace {

long do_setitimer(int which, const ::itimerval* to, ::itimerval* old) noexcept {
  if (is_vfork_child()) return kernel_setitimer(which, to, old);
  ::itimerval given{};
  if (to != nullptr && copy_in(given, to) != 0) return -EFAULT;
  const timer_spec wanted = of(given);
  if (wanted.value < nanoseconds::zero()) return -EINVAL;
  timer_spec was;
  {
    locked here;
    if (const long error = set(which, wanted, was); error != 0) return error;
  }
  return old == nullptr ? 0 : copy_out(old, to_libc_type(was));
}

long do_getitimer(int which, ::itimerval* out) noexcept {
  if (is_vfork_child()) return raw(SYS_getitimer, which, out);
  timer_spec left;
  if (which < ITIMER_REAL || which > ITIMER_PROF) return -EINVAL;
  {
    locked here;
    left = get(which);
  }
  return copy_out(out, to_libc_type(left));
}

long do_alarm(unsigned seconds) noexcept {
  if (is_vfork_child()) {
    const ::itimerval to{{}, {static_cast<::time_t>(seconds), 0}};
    ::itimerval old{};
    kernel_setitimer(ITIMER_REAL, &to, &old);
    return static_cast<long>(chime::rules::alarm_seconds(of(old).value));
  }
  locked here;
  signals::watch(SIGALRM);
  signals::notice_dropped_itimers();
  auto& t = all().real;
  const unsigned old = t.model.alarm(seconds, time_of(t));
  settle(t);
  return static_cast<long>(old);
}

}  // namespace

namespace sys {

long setitimer(int which, const ::itimerval* to, ::itimerval* old) noexcept {
  return traced("setitimer", do_setitimer(which, to, old), which, to,
                static_cast<const void*>(old));
}
long getitimer(int which, ::itimerval* out) noexcept {
  const long result = do_getitimer(which, out);
  return traced("getitimer", result, which, static_cast<const ::itimerval*>(out));
}
long alarm(unsigned seconds) noexcept { return traced("alarm", do_alarm(seconds), seconds); }

}  // namespace sys
}  // namespace preload

using namespace preload;

PRELOAD_EXPORT(int, setitimer, int which, const ::itimerval* to, ::itimerval* old) {
  return static_cast<int>(to_libc(sys::setitimer(which, to, old)));
}
PRELOAD_EXPORT(int, getitimer, int which, ::itimerval* out) {
  return static_cast<int>(to_libc(sys::getitimer(which, out)));
}
PRELOAD_EXPORT(unsigned, alarm, unsigned seconds) {
  return static_cast<unsigned>(sys::alarm(seconds));
}
// ualarm(3), usleep's relative: the microseconds that were left, or -1 as an unsigned number.
PRELOAD_EXPORT(::useconds_t, ualarm, ::useconds_t value, ::useconds_t interval) {
  const ::itimerval to{{0, static_cast<::suseconds_t>(interval)},
                       {0, static_cast<::suseconds_t>(value)}};
  ::itimerval old{};
  const long result = traced("ualarm", do_setitimer(ITIMER_REAL, &to, &old), value, interval);
  if (to_libc(result) != 0) return static_cast<::useconds_t>(-1);
  return static_cast<::useconds_t>(old.it_value.tv_sec * 1'000'000 + old.it_value.tv_usec);
}
