// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/timex.h>
#include <unistd.h>

#include <ctime>

namespace support {

/// Sets the machine's clock by one nanosecond, for tests of what becomes of timers then: a discontinuity to
/// the kernel, and harmless to everybody else.
///
/// All programs on the machine see it, other tests too: hold one of these wherever a timer stands at
/// cancel-on-set, and no other test sets the clock meanwhile.
class clock_setter {
 public:
  clock_setter() { ::flock(lock_, LOCK_EX); }
  clock_setter(const clock_setter&) = delete;
  clock_setter& operator=(const clock_setter&) = delete;
  ~clock_setter() {
    if (ahead_) step();
    ::close(lock_);  // and with it goes the lock
  }

  /// Sets the clock 1 ns ahead, and back the next time. False where that takes CAP_SYS_TIME.
  bool step() {
    ::timex change{};
    change.modes = ADJ_SETOFFSET | ADJ_NANO;
    if (ahead_) change.time.tv_sec = -1;
    change.time.tv_usec = ahead_ ? 999'999'999 : 1;  // nanoseconds, by ADJ_NANO
    if (::clock_adjtime(CLOCK_REALTIME, &change) == -1) return false;
    ahead_ = !ahead_;
    return true;
  }

 private:
  int lock_ = ::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // a lock that anybody may take
  bool ahead_ = false;
};

}  // namespace support
