// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// setitimer(2), getitimer(2) and alarm(2), typed. Each function is one system call. There is one
/// timer of each kind in the process (I1), so who sets one takes it from whoever had it.

#include <chime/itimer_kind.hpp>
#include <chime/shim/result.hpp>

#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace chime::shim {

/// timeval and itimerval with 64-bit seconds on every architecture.
struct timeval {
  std::int64_t tv_sec;
  std::int64_t tv_usec;
};
struct itimerval {
  timeval it_interval;
  timeval it_value;
};

/// `which`, as the kernel numbers it. Other values are made by cast.
enum class itimer_id : int { real = ITIMER_REAL, virt = ITIMER_VIRTUAL, prof = ITIMER_PROF };

[[nodiscard]] constexpr itimer_id id_of(itimer_kind kind) noexcept {
  if (kind == itimer_kind::virt) return itimer_id::virt;
  return kind == itimer_kind::prof ? itimer_id::prof : itimer_id::real;
}

namespace itimer_detail {

constexpr itimerval from_libc(const ::itimerval& t) noexcept {
  return {{t.it_interval.tv_sec, t.it_interval.tv_usec}, {t.it_value.tv_sec, t.it_value.tv_usec}};
}
constexpr bool fits(const timeval& t) noexcept {
  using seconds = std::numeric_limits<decltype(::timeval::tv_sec)>;
  using micros = std::numeric_limits<decltype(::timeval::tv_usec)>;
  return t.tv_sec >= seconds::min() && t.tv_sec <= seconds::max() && t.tv_usec >= micros::min() &&
         t.tv_usec <= micros::max();
}
constexpr ::timeval to_libc(const timeval& t) noexcept {
  return {static_cast<decltype(::timeval::tv_sec)>(t.tv_sec),
          static_cast<decltype(::timeval::tv_usec)>(t.tv_usec)};
}

}  // namespace itimer_detail

/// setitimer(2): arms or disarms, and returns the old setting. EINVAL: no such kind, or a time out
/// of range. EOVERFLOW: more seconds than a 32-bit kernel takes, which has no call for them.
[[nodiscard]] inline result<itimerval> setitimer(itimer_id which,
                                                 const itimerval& setting) noexcept {
  using namespace itimer_detail;
  if (!fits(setting.it_interval) || !fits(setting.it_value))
    return boost::system::error_code{EOVERFLOW, boost::system::system_category()};
  const ::itimerval in{to_libc(setting.it_interval), to_libc(setting.it_value)};
  ::itimerval old{};
  const int status = ::setitimer(static_cast<int>(which), &in, &old);
  return answer(status, from_libc(old));
}

/// setitimer(2) with no new setting: disarms, and returns the old one (I9). EINVAL: no such kind.
[[nodiscard]] inline result<itimerval> setitimer(itimer_id which) noexcept {
  ::itimerval old{};
  const int status = ::setitimer(static_cast<int>(which), nullptr, &old);
  return answer(status, itimer_detail::from_libc(old));
}

/// getitimer(2): the time remaining, in whole microseconds (I2), and the interval. EINVAL: no such
/// kind.
[[nodiscard]] inline result<itimerval> getitimer(itimer_id which) noexcept {
  ::itimerval now{};
  const int status = ::getitimer(static_cast<int>(which), &now);
  return answer(status, itimer_detail::from_libc(now));
}

/// alarm(2): sets the REAL timer to `seconds`, once; 0 disarms. Returns the seconds that were left,
/// rounded as I8 says.
inline unsigned alarm(unsigned seconds) noexcept { return ::alarm(seconds); }

/// Has taken an interval timer, and gives the earlier setting back.
class borrowed_itimer {
 public:
  borrowed_itimer() noexcept = default;
  borrowed_itimer(borrowed_itimer&& other) noexcept
      : which_{other.which_}, earlier_{std::exchange(other.earlier_, {})} {}
  borrowed_itimer& operator=(borrowed_itimer&& other) noexcept {
    borrowed_itimer{std::move(other)}.swap(*this);
    return *this;
  }
  ~borrowed_itimer() {
    if (earlier_) (void)setitimer(which_, *earlier_);
  }

  /// Takes the timer, and disarms it. EINVAL: no such kind.
  [[nodiscard]] static result<borrowed_itimer> take(itimer_id which) noexcept {
    const auto earlier = setitimer(which, itimerval{});
    if (!earlier) return earlier.error();
    return borrowed_itimer{which, *earlier};
  }

  [[nodiscard]] bool has_value() const noexcept { return earlier_.has_value(); }
  [[nodiscard]] itimer_id which() const noexcept { return which_; }
  [[nodiscard]] const itimerval& earlier() const noexcept { return *earlier_; }

  /// There is nothing to give back any more: the timer will be disarmed.
  void forget_earlier() noexcept {
    if (earlier_) earlier_ = itimerval{};
  }

  void swap(borrowed_itimer& other) noexcept {
    std::swap(which_, other.which_);
    std::swap(earlier_, other.earlier_);
  }

 private:
  borrowed_itimer(itimer_id which, const itimerval& earlier) noexcept
      : which_{which}, earlier_{earlier} {}

  itimer_id which_ = itimer_id::real;
  std::optional<itimerval> earlier_;  // no: nothing was taken
};

}  // namespace chime::shim
