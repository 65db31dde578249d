// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

#include "workloads.hpp"

#if __has_include(<event2/event.h>)
#include <event2/event.h>
#include <event2/event_struct.h>

namespace chime::bench {
namespace {

/// event_add(3): a timeval from now. It reads the clock each time, unless it is called by an event.
class libevent {
 public:
  static constexpr bool is_told_the_time = false;
  static constexpr const char* name = "libevent";

  explicit libevent(size_t n) : base_{event_base_new()}, timers_(n) {
    if (base_ == nullptr) std::abort();
    for (event& t : timers_) event_assign(&t, base_, -1, 0, [](int, short, void*) {}, nullptr);
  }
  ~libevent() {
    for (event& t : timers_) event_del(&t);
    event_base_free(base_);
  }

  void arm(size_t i, int64_t deadline) {
    const int64_t left = deadline - setting<libevent>::start;
    const timeval tv{left / second, left % second / 1000};
    event_add(&timers_[i], &tv);
  }
  void rearm(size_t i, int64_t deadline) { arm(i, deadline); }
  void cancel(size_t i) { event_del(&timers_[i]); }

 private:
  event_base* base_;
  std::vector<event> timers_;
};

}  // namespace

bool add_libevent(size_t n) {
  add_queue<libevent>(n);
  return true;
}

}  // namespace chime::bench
#else
bool chime::bench::add_libevent(size_t) { return false; }
#endif
