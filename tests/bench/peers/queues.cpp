// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Timer queues that are data structures and nothing else.

#include "workloads.hpp"

#include <boost/asio/detail/op_queue.hpp>
#include <boost/asio/detail/timer_queue.hpp>
#include <boost/asio/detail/wait_op.hpp>
#include <boost/date_time/posix_time/posix_time_types.hpp>
#include <boost/intrusive/set.hpp>
#include <chime/engine/wheel.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

namespace chime::bench {
namespace {

/// chime's wheel.
class chime_wheel {
 public:
  static constexpr bool is_told_the_time = true;
  static constexpr const char* name = "chime";

  explicit chime_wheel(size_t n) : timers_(new timer[n]) {}

  void arm(size_t i, int64_t deadline) { wheel_.arm(timers_[i], rules::nanoseconds{deadline}); }
  void rearm(size_t i, int64_t deadline) { arm(i, deadline); }
  void cancel(size_t i) { wheel_.disarm(timers_[i]); }
  template <typename Function>
  void expire(int64_t now, Function f) {
    while (engine::wheel_node* n = wheel_.pop_due(rules::nanoseconds{now})) {
      f(static_cast<size_t>(static_cast<timer*>(n) - timers_.get()));
    }
  }

 private:
  struct alignas(32) timer : engine::wheel_node {};  // no node across two cache lines

  std::unique_ptr<timer[]> timers_;
  engine::wheel wheel_;
};

/// What steady_timer keeps its deadlines in.
class asio_queue {
 public:
  static constexpr bool is_told_the_time = true;
  static constexpr const char* name = "asio";

  explicit asio_queue(size_t n) : timers_(new timer[n]) {}

  void arm(size_t i, int64_t deadline) {
    queue_.enqueue_timer(deadline, timers_[i].data, &timers_[i].op);
  }
  void rearm(size_t i, int64_t deadline) {
    cancel(i);
    arm(i, deadline);
  }
  void cancel(size_t i) {
    boost::asio::detail::op_queue<boost::asio::detail::operation> ops;
    queue_.cancel_timer(timers_[i].data, ops);
    while (!ops.empty()) ops.pop();
  }
  template <typename Function>
  void expire(int64_t now, Function f) {
    traits::current = now;
    boost::asio::detail::op_queue<boost::asio::detail::operation> ops;
    queue_.get_ready_timers(ops);
    while (auto* op = static_cast<wait*>(ops.front())) {
      ops.pop();
      f(static_cast<size_t>(reinterpret_cast<timer*>(op->owner) - timers_.get()));
    }
  }
  ~asio_queue() {
    expire(INT64_MAX, [](size_t) {});
  }

 private:
  struct traits {
    using time_type = int64_t;
    using duration_type = int64_t;
    static inline int64_t current = 0;
    static time_type now() { return current; }
    static duration_type subtract(time_type a, time_type b) { return a - b; }
    static bool less_than(time_type a, time_type b) { return a < b; }
    static boost::posix_time::time_duration to_posix_duration(duration_type d) {
      return boost::posix_time::microseconds(d / 1000);
    }
  };
  using queue = boost::asio::detail::timer_queue<traits>;
  struct wait : boost::asio::detail::wait_op {
    explicit wait(void* o) : wait_op{&completed}, owner{o} {}
    static void completed(void*, boost::asio::detail::scheduler_operation*,
                          const boost::system::error_code&, size_t) {}
    void* owner;
  };
  struct timer {
    queue::per_timer_data data;
    wait op{this};
  };

  std::unique_ptr<timer[]> timers_;
  queue queue_;
};

/// A binary heap whose cancelled entries stay until they come up.
class lazy_heap {
 public:
  static constexpr bool is_told_the_time = true;
  static constexpr const char* name = "priority_queue";

  explicit lazy_heap(size_t n) : generations_(n) {}

  void arm(size_t i, int64_t deadline) {
    heap_.push({deadline, static_cast<std::uint32_t>(i), generations_[i]});
  }
  void rearm(size_t i, int64_t deadline) {
    ++generations_[i];
    arm(i, deadline);
  }
  void cancel(size_t i) { ++generations_[i]; }
  template <typename Function>
  void expire(int64_t now, Function f) {
    while (!heap_.empty() && heap_.top().deadline <= now) {
      const entry e = heap_.top();
      heap_.pop();
      if (generations_[e.timer]++ == e.generation) f(e.timer);
    }
  }

 private:
  struct entry {
    int64_t deadline;
    std::uint32_t timer;
    std::uint32_t generation;
    bool operator<(const entry& other) const { return deadline > other.deadline; }
  };
  std::vector<std::uint32_t> generations_;
  std::priority_queue<entry> heap_;
};

/// A red-black tree, as kernels use.
class rb_tree {
 public:
  static constexpr bool is_told_the_time = true;
  static constexpr const char* name = "intrusive_set";

  explicit rb_tree(size_t n) : timers_(new timer[n]) {}

  void arm(size_t i, int64_t deadline) {
    timers_[i].deadline = deadline;
    tree_.insert(timers_[i]);
  }
  void rearm(size_t i, int64_t deadline) {
    cancel(i);
    arm(i, deadline);
  }
  void cancel(size_t i) { tree_.erase(tree_.iterator_to(timers_[i])); }
  template <typename Function>
  void expire(int64_t now, Function f) {
    while (!tree_.empty() && tree_.begin()->deadline <= now) {
      timer& t = *tree_.begin();
      tree_.erase(tree_.begin());
      f(static_cast<size_t>(&t - timers_.get()));
    }
  }
  ~rb_tree() { tree_.clear(); }

 private:
  using link_mode = boost::intrusive::link_mode<boost::intrusive::normal_link>;
  struct timer : boost::intrusive::set_base_hook<link_mode, boost::intrusive::optimize_size<true>> {
    int64_t deadline;
    bool operator<(const timer& other) const { return deadline < other.deadline; }
  };
  std::unique_ptr<timer[]> timers_;
  boost::intrusive::multiset<timer, boost::intrusive::constant_time_size<false>> tree_;
};

}  // namespace

void add_queues(size_t n) {
  add_queue<chime_wheel>(n);
  add_queue<asio_queue>(n);
  add_queue<lazy_heap>(n);
  add_queue<rb_tree>(n);
}

}  // namespace chime::bench
