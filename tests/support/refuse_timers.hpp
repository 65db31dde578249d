// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

// A sandbox without the kernel's timers, for the rest of this process.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace support {

template <std::size_t Size>
bool install(const std::array<sock_filter, Size>& filter) {
  const sock_fprog program{static_cast<unsigned short>(Size),
                           const_cast<sock_filter*>(filter.data())};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum class refused : std::uint8_t {
  all_timers,    // timerfd_create, timer_create
  timer_objects  // the same, but for timerfds opened without TFD_NONBLOCK, such as the engine's own
};

/// Has those system calls fail with `error` from now on. False where no filter can be installed.
inline bool refuse_timers(refused which, int error) {
  const auto fail = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
  const std::uint32_t unless_nonblock = which == refused::all_timers ? 0 : TFD_NONBLOCK;
  const std::array<sock_filter, 8> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_timer_create, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_timerfd_create, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, unless_nonblock ? unless_nonblock : ~0U, 1,
               static_cast<std::uint8_t>(which == refused::all_timers ? 1 : 0)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, fail),
      BPF_STMT(BPF_RET | BPF_K, fail),
  }};
  return install(filter);
}

/// Has one system call fail with `error` from now on. False where no filter can be installed.
inline bool refuse_call(int number, int error) {
  const std::array<sock_filter, 4> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  return install(filter);
}

}  // namespace support
