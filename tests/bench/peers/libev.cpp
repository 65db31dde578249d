// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

#include "workloads.hpp"

#if __has_include(<ev.h>)
#include <ev.h>

namespace chime::bench {
namespace {

/// ev_timer_again(3): seconds, as a double, from the loop's time; its quickest way to arm again.
class libev {
 public:
  static constexpr bool is_told_the_time = false;
  static constexpr const char* name = "libev";

  explicit libev(size_t n) : loop_{ev_loop_new(0)}, timers_(n) {
    if (loop_ == nullptr) std::abort();
    for (ev_timer& t : timers_) ev_init(&t, [](struct ev_loop*, ev_timer*, int) {});
  }
  ~libev() {
    for (ev_timer& t : timers_) ev_timer_stop(loop_, &t);
    ev_loop_destroy(loop_);
  }

  void arm(size_t i, int64_t deadline) {
    const int64_t left = deadline - setting<libev>::start;
    timers_[i].repeat = static_cast<double>(left) * 1e-9;
    ev_timer_again(loop_, &timers_[i]);
  }
  void rearm(size_t i, int64_t deadline) { arm(i, deadline); }
  void cancel(size_t i) { ev_timer_stop(loop_, &timers_[i]); }

 private:
  struct ev_loop* loop_;
  std::vector<ev_timer> timers_;
};

}  // namespace

bool add_libev(size_t n) {
  add_queue<libev>(n);
  return true;
}

}  // namespace chime::bench
#else
bool chime::bench::add_libev(size_t) { return false; }
#endif
