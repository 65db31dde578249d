// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#if defined(__linux__)
#include <sched.h>
#endif

namespace support {

#if defined(__linux__)

/// Keeps the calling thread, and those it starts, on the CPU where it is. The kernel tells of a timer on the CPU
/// that armed it: there its interrupt comes before the next instruction, and in order, while another CPU may stand
/// still for as long as the host likes. \return where it was allowed to run before
inline ::cpu_set_t stay_on_one_cpu() {
  ::cpu_set_t before, one;
  CPU_ZERO(&before);
  ::sched_getaffinity(0, sizeof before, &before);
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
  ::sched_setaffinity(0, sizeof one, &one);
  return before;
}

/// For as long as it lives.
class on_one_cpu {
 public:
  on_one_cpu() : before_{stay_on_one_cpu()} {}
  on_one_cpu(const on_one_cpu&) = delete;
  on_one_cpu& operator=(const on_one_cpu&) = delete;
  ~on_one_cpu() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  ::cpu_set_t before_;
};

#else

struct on_one_cpu {
  on_one_cpu() {}
};

#endif

}  // namespace support
