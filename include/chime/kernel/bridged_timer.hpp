// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/clock_kind.hpp>
#include <chime/detail/outstanding_work.hpp>
#include <chime/error.hpp>
#include <chime/kernel/signal_bridge.hpp>
#include <chime/read_clock.hpp>
#include <chime/user/hosted_timer.hpp>
#include <chime/user/operation.hpp>
#include <chime/user/service.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace chime::kernel {

/// A timer that the kernel keeps and tells of by signals, as the waits of its context see it: a
/// count of expirations that nobody took, and one wait for it. Mostly it stands in no line of the
/// engine, which only completes the wait.
///
/// Of a CPU clock's deadline the kernel tells at the next tick of a thread that runs, which in a
/// program that idles from now on never comes. So while somebody waits, the engine looks, too.
class bridged_timer : public user::hosted_timer, public signalled {
 public:
  /// Calls `handler(error_code)` once, never from within this function, when a take may succeed.
  template <class Handler>
  void async_ready(Handler&& handler) {
    // Where time is virtual the engine does not sleep, and so is no work that covers this.
    const detail::work_of work = host_.work(detail::covered::nobody);
    std::unique_ptr<user::operation, user::destroy_operation> op{
        user::make_operation(executor_, host_, work, std::forward<Handler>(handler))};
    const user::service::access locked{host_};
    host_.file(*this);
    host_.wait(*this, *op);
    (void)op.release();
  }

  /// Blocks the calling thread until a take may succeed. Signals do not end it.
  void wait_ready() {
    for (;;) {
      const std::uint64_t seen = news_;
      if (has_expired()) return;
      const auto there_is = [&] { return news_ != seen; };
      const nanoseconds nap = longest_nap();
      std::unique_lock lock{news_mutex_};
      if (nap == rules::never)
        there_is_news_.wait(lock, there_is);
      else
        there_is_news_.wait_for(lock, nap, there_is);
    }
  }

  void cancel() {
    const user::service::access locked{host_};
    host_.cancel(*this);
  }

  /// Who is told so is not alone: a wait ends by it.
  [[nodiscard]] bool has_expired() {
    const user::service::access locked{host_};
    const bool is = is_ready();
    if (is) host_.wake(*this);
    return is;
  }

 protected:
  bridged_timer(user::service& host, const boost::asio::any_io_executor& executor)
      : host_{host}, executor_{executor} {}
  ~bridged_timer() = default;

  /// Becomes known to the context. \param on where its deadlines lie, if it stands in a line
  void join(engine::base on = engine::base::monotonic, thread_clock thread = {}) {
    const user::service::access locked{host_};
    host_.share_between_threads();
    engine::time_line& line = host_.scheduler().line(on, thread);
    host_.add(*this, executor_, line);
    ++line.users;
  }
  /// \pre join() has been called
  void leave() noexcept {
    const user::service::access locked{host_};
    host_.remove(*this);
    --line().users;
  }

  [[nodiscard]] user::service& host() const noexcept { return host_; }

  /// \name With access to the service
  /// \{
  [[nodiscard]] bool exists() const noexcept { return exists_; }
  void vanish() noexcept { exists_ = false; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  void set_count(std::uint64_t n) noexcept { count_ = n; }

  /// Whether it has expired, though nobody has told so yet.
  [[nodiscard]] virtual bool has_more() const noexcept { return false; }

  /// When to look whether it has; `rules::never` if the kernel tells in any case.
  [[nodiscard]] virtual nanoseconds when_to_look() const noexcept { return rules::never; }

  /// After it was set.
  void was_set() { host_.file(*this, true); }

  /// More expirations that nobody took.
  void add(std::uint64_t expirations) noexcept {
    const bool is_news = count_ == 0 && expirations != 0;
    count_ += expirations;
    if (is_news) tell();
  }

  /// Ends the waits: it has become ready.
  void tell() noexcept {
    host_.wake(*this);
    {
      const std::lock_guard lock{news_mutex_};
      ++news_;
    }
    there_is_news_.notify_all();
  }
  /// \}

 private:
  [[nodiscard]] nanoseconds longest_nap() {
    const user::service::access locked{host_};
    return next_deadline() == rules::never ? rules::never : host_.nap_for(*this);
  }

  bool expire(nanoseconds) noexcept override { return is_ready(); }
  nanoseconds next_deadline() const noexcept override {
    // (Where time is virtual the engine's clocks are not the kernel's.)
    const nanoseconds at = host_.virtual_clocks() ? rules::never : when_to_look();
    return at == rules::never || is_ready() ? rules::never : at;
  }
  bool is_ready() const noexcept override { return count_ != 0 || !exists_ || has_more(); }

  user::service& host_;
  boost::asio::any_io_executor executor_;
  std::uint64_t count_ = 0;
  std::atomic<std::uint64_t> news_ = 0;  // how often it was told to be ready
  std::mutex news_mutex_;                // held to change it
  std::condition_variable there_is_news_;
  bool exists_ = true;
};

}  // namespace chime::kernel
