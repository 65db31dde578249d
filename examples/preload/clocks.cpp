// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "clocks.hpp"

#include "privilege.hpp"
#include "process.hpp"
#include "symbol.hpp"
#include "trace.hpp"

#include <sys/time.h>
#include <sys/timeb.h>
#include <sys/timex.h>
#include <atomic>
#include <chime/duration.hpp>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace preload::clocks {
namespace {

__extension__ using int128 = __int128;

struct scale {
  bool is_on = false;
  // The speed as a fraction: nanoseconds of the program in a second.
  std::int64_t speed = 1'000'000'000;
  nanoseconds began{};     // on the real monotonic clock
  nanoseconds ahead_by{};  // what CHIME_PRELOAD_START adds to the realtime clock
};
constinit scale scaled;
constinit std::atomic<std::int64_t> set_by = 0;  // how far the program has set its realtime clock
constinit bool is_init = false;

constexpr nanoseconds to_nanos(const ::timespec& t) noexcept {
  return std::chrono::seconds{t.tv_sec} + nanoseconds{t.tv_nsec};
}

nanoseconds real(clockid_t id) noexcept {
  ::timespec t{};
  read_real(id, t);
  return to_nanos(t);
}

nanoseconds clamp(int128 n) noexcept {
  constexpr int128 max = nanoseconds::max().count();
  return nanoseconds{static_cast<std::int64_t>(n > max ? max : n < -max ? -max : n)};
}

bool is_scalable(clockid_t id) noexcept {
  switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM: return true;
    default: return false;  // CPU time is real
  }
}
bool is_wall(clockid_t id) noexcept {
  return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_REALTIME_ALARM ||
         id == CLOCK_TAI;
}

}  // namespace

bool is_scaled() noexcept { return scaled.is_on; }

nanoseconds from_real(nanoseconds span) noexcept {
  if (!scaled.is_on) return span;
  return clamp(static_cast<int128>(span.count()) * scaled.speed / 1'000'000'000);
}

nanoseconds to_real(nanoseconds span) noexcept {
  if (!scaled.is_on || span == chime::rules::never) return span;
  const int128 n = static_cast<int128>(span.count()) * 1'000'000'000;
  return clamp(n / scaled.speed + (n > 0 && n % scaled.speed != 0 ? 1 : 0));
}

nanoseconds monotonic_to_real(nanoseconds at) noexcept {
  if (!scaled.is_on || at == chime::rules::never) return at;
  return chime::rules::saturating_add(scaled.began, to_real(at - scaled.began));
}

long read(clockid_t id, ::timespec& out) noexcept {
  ::timespec t{};
  if (const long error = read_real(id, t); error != 0) return error;
  if (!scaled.is_on || !is_scalable(id)) {
    out = t;
    return 0;
  }
  // Every clock runs on from what it showed when the monotonic one showed `began`.
  const nanoseconds monotonic = real(CLOCK_MONOTONIC);
  const nanoseconds since = monotonic - scaled.began;
  nanoseconds shown = to_nanos(t) - since + from_real(since);
  if (id == CLOCK_MONOTONIC) shown = scaled.began + from_real(to_nanos(t) - scaled.began);
  if (is_wall(id)) shown += scaled.ahead_by + nanoseconds{set_by};
  out = chime::to_timespec<::timespec>(shown);
  return 0;
}

nanoseconds now(clockid_t id) noexcept {
  ::timespec t{};
  read(id, t);
  return to_nanos(t);
}

nanoseconds realtime_offset() noexcept {
  for (;;) {
    const nanoseconds before = real(CLOCK_MONOTONIC_COARSE);
    const nanoseconds wall = real(CLOCK_REALTIME_COARSE);
    if (real(CLOCK_MONOTONIC_COARSE) == before) return wall - before + nanoseconds{set_by};
  }
}

namespace {

/// \pre the clocks are scaled
long set_wall(nanoseconds to) noexcept {
  if (!has_capability(CAP_SYS_TIME)) return -EPERM;
  set_by += (to - now(CLOCK_REALTIME)).count();
  clock_was_set();
  return 0;
}

/// Whoever sets the clock knows best that it was set.
long told(long result) noexcept {
  if (result == 0) clock_was_set();
  return result;
}

}  // namespace

long set(clockid_t id, const ::timespec* to) noexcept {
  if (!scaled.is_on) return told(raw(SYS_clock_settime, id, to));
  if (id != CLOCK_REALTIME) return -EINVAL;
  ::timespec wanted{};
  if (copy_in(wanted, to) != 0) return -EFAULT;
  const auto value = chime::from_timespec(wanted);
  return value ? set_wall(*value) : -EINVAL;
}

long set_time_of_day(const ::timeval* to, const void* zone) noexcept {
  if (!scaled.is_on || to == nullptr) return told(raw(SYS_settimeofday, to, zone));
  ::timeval wanted{};
  if (copy_in(wanted, to) != 0) return -EFAULT;
  const auto value = chime::from_timeval(wanted);
  return value ? set_wall(*value) : -EINVAL;
}

nanoseconds source::now(chime::engine::base on, chime::thread_clock thread) const noexcept {
  using chime::engine::base;
  switch (on) {
    case base::realtime: return clocks::now(CLOCK_REALTIME);
    case base::boottime: return clocks::now(CLOCK_BOOTTIME);
    case base::tai: return clocks::now(CLOCK_TAI);
    case base::process_cpu: return clocks::now(CLOCK_PROCESS_CPUTIME_ID);
    case base::user_cpu:
      return clocks::now(chime::clock_detail::id_of(chime::clock_kind::user_cpu));
    case base::thread_cpu: return clocks::now(static_cast<clockid_t>(thread));
    case base::monotonic: break;
  }
  return clocks::now(CLOCK_MONOTONIC);
}

void init() noexcept {
  if (std::exchange(is_init, true)) return;
  const char* const speed = std::getenv("CHIME_PRELOAD_SPEED");
  const char* const start = std::getenv("CHIME_PRELOAD_START");
  if (speed == nullptr && start == nullptr) return;
  const double factor = speed != nullptr ? std::strtod(speed, nullptr) : 1;
  if (!(factor >= 1e-6 && factor <= 1e6)) {
    complain("CHIME_PRELOAD_SPEED is no number from 0.000001 to 1000000: the clocks stay real\n");
    return;
  }
  scaled.speed = static_cast<std::int64_t>(factor * 1e9);
  scaled.began = real(CLOCK_MONOTONIC);
  if (start != nullptr)
    scaled.ahead_by = std::chrono::seconds{std::strtoll(start, nullptr, 10)} - real(CLOCK_REALTIME);
  long long began = 0;
  long long ahead_by = 0;
  const char* const origin = std::getenv("CHIME_PRELOAD_ORIGIN");
  if (origin != nullptr && std::sscanf(origin, "%lld,%lld", &began, &ahead_by) == 2) {
    scaled.began = nanoseconds{began};
    scaled.ahead_by = nanoseconds{ahead_by};
  } else {
    char text[64];
    std::snprintf(text, sizeof text, "%lld,%lld", static_cast<long long>(scaled.began.count()),
                  static_cast<long long>(scaled.ahead_by.count()));
    ::setenv("CHIME_PRELOAD_ORIGIN", text, 1);
  }
  scaled.is_on = true;
}

}  // namespace preload::clocks

using namespace preload;

// The program's clocks. Not traced: there is no end of them.
PRELOAD_EXPORT(int, clock_gettime, clockid_t id, ::timespec* out) {
  if (!clocks::is_scaled()) return PRELOAD_NEXT(clock_gettime)(id, out);
  ::timespec now{};
  const long error = clocks::read(id, now);
  if (error == 0) *out = now;
  return static_cast<int>(to_libc(error));
}

namespace {
using clock_gettime_type = int (*)(clockid_t, ::timespec*);
/// Not that of whoever else stands before libc, a sanitizer say, and knows nothing of the engine's thread.
constinit clock_gettime_type clock_gettime_of_libc = nullptr;
[[gnu::constructor(101)]] void find_clock_gettime_of_libc() noexcept {
  void* const libc = ::dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  if (libc == nullptr) return;
  clock_gettime_of_libc = reinterpret_cast<clock_gettime_type>(::dlsym(libc, "clock_gettime"));
}
}  // namespace

long clocks::read_real(clockid_t id, ::timespec& now) noexcept {
  // libc's is the fastest where it needs no system call. Elsewhere it may fail, and the engine's thread has no errno.
  const auto next = clock_gettime_of_libc;
  const bool is_in_memory =
      id >= 0 && id != CLOCK_PROCESS_CPUTIME_ID && id != CLOCK_THREAD_CPUTIME_ID;
  return is_in_memory && next != nullptr && next(id, &now) == 0 ? 0
                                                                : raw(SYS_clock_gettime, id, &now);
}

PRELOAD_EXPORT(int, gettimeofday, ::timeval* out, void* zone) {
  if (!clocks::is_scaled() || out == nullptr) return PRELOAD_NEXT(gettimeofday)(out, zone);
  if (zone != nullptr) PRELOAD_NEXT(gettimeofday)(nullptr, zone);
  const ::timespec t = chime::to_timespec<::timespec>(clocks::now(CLOCK_REALTIME));
  *out = {t.tv_sec, t.tv_nsec / 1000};
  return 0;
}

PRELOAD_EXPORT(::time_t, time, ::time_t* out) {
  if (!clocks::is_scaled()) return PRELOAD_NEXT(time)(out);
  const ::time_t t = chime::to_timespec<::timespec>(clocks::now(CLOCK_REALTIME)).tv_sec;
  if (out != nullptr) *out = t;
  return t;
}

PRELOAD_EXPORT(int, timespec_get, ::timespec* out, int base) {
  if (!clocks::is_scaled() || base != TIME_UTC) return PRELOAD_NEXT(timespec_get)(out, base);
  *out = chime::to_timespec<::timespec>(clocks::now(CLOCK_REALTIME));
  return base;
}

PRELOAD_EXPORT(int, ftime, ::timeb* out) {
  const int result = PRELOAD_NEXT(ftime)(out);
  if (!clocks::is_scaled() || result != 0) return result;
  const ::timespec t = chime::to_timespec<::timespec>(clocks::now(CLOCK_REALTIME));
  out->time = t.tv_sec;
  out->millitm = static_cast<unsigned short>(t.tv_nsec / 1'000'000);
  return 0;
}

PRELOAD_EXPORT(int, clock_settime, clockid_t id, const ::timespec* to) {
  return static_cast<int>(to_libc(clocks::set(id, to)));
}
PRELOAD_EXPORT(int, settimeofday, const ::timeval* to, const void* zone) {
  return static_cast<int>(to_libc(clocks::set_time_of_day(to, zone)));
}
PRELOAD_EXPORT(int, clock_adjtime, clockid_t id, ::timex* change) {
  const int result = PRELOAD_NEXT(clock_adjtime)(id, change);
  if (result >= 0) clock_was_set();
  return result;
}
PRELOAD_EXPORT(int, adjtimex, ::timex* change) {
  const int result = PRELOAD_NEXT(adjtimex)(change);
  if (result >= 0) clock_was_set();
  return result;
}
