// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock.hpp>
#include <chime/shim/result.hpp>
#include <chime/shim/types.hpp>

namespace chime::shim {

/// clock_gettime(2). EINVAL: no such clock.
[[nodiscard]] inline result<timespec> clock_gettime(clock_id id) noexcept {
  timespec now{};
  return answer(clock_detail::gettime(static_cast<clockid_t>(id), now), now);
}

/// clock_getres(2): the clock's resolution. EINVAL: no such clock.
[[nodiscard]] inline result<timespec> clock_getres(clock_id id) noexcept {
  timespec resolution{};
#if defined(SYS_clock_getres_time64)
  if constexpr (!clock_detail::libc_is_time64)
    return answer(::syscall(SYS_clock_getres_time64, static_cast<clockid_t>(id), &resolution),
                  resolution);
#endif
  ::timespec t{};
  const int status = ::clock_getres(static_cast<clockid_t>(id), &t);
  resolution = {t.tv_sec, t.tv_nsec};
  return answer(status, resolution);
}

}  // namespace chime::shim
