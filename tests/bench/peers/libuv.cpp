// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

#include "workloads.hpp"

#if __has_include(<uv.h>)
#include <uv.h>

namespace chime::bench {
namespace {

/// uv_timer_start(3): milliseconds from the loop's time.
class libuv {
 public:
  static constexpr bool is_told_the_time = false;
  static constexpr const char* name = "libuv";

  explicit libuv(size_t n) : timers_(n) {
    if (uv_loop_init(&loop_) != 0) std::abort();
    for (uv_timer_t& t : timers_) uv_timer_init(&loop_, &t);
  }
  ~libuv() {
    for (uv_timer_t& t : timers_) uv_close(reinterpret_cast<uv_handle_t*>(&t), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  void arm(size_t i, int64_t deadline) {
    const int64_t left = deadline - setting<libuv>::start;
    uv_timer_start(
        &timers_[i], [](uv_timer_t*) {}, static_cast<std::uint64_t>(left / 1'000'000), 0);
  }
  void rearm(size_t i, int64_t deadline) { arm(i, deadline); }
  void cancel(size_t i) { uv_timer_stop(&timers_[i]); }

 private:
  uv_loop_t loop_{};
  std::vector<uv_timer_t> timers_;
};

}  // namespace

bool add_libuv(size_t n) {
  add_queue<libuv>(n);
  return true;
}

}  // namespace chime::bench
#else
bool chime::bench::add_libuv(size_t) { return false; }
#endif
