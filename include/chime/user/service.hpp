// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Hosts the engine in an execution context: all engine-kept timers of the context, and the one
/// wait at the operating system that serves them.
///
///     set, take, wait ---> scheduler: timers in order ---> sleeper: until the next look
///                                                             |
///     handlers <--- a batch of waits that are over <----- serve, as long as anything is due

#include <chime/detail/mutex.hpp>
#include <chime/detail/outstanding_work.hpp>
#include <chime/engine/scheduler.hpp>
#include <chime/engine/system_time.hpp>
#include <chime/engine/virtual_clocks.hpp>
#include <chime/engine/wheel_slots.hpp>
#include <chime/error.hpp>
#include <chime/user/hosted_timer.hpp>
#include <chime/user/operation.hpp>
#include <chime/user/reserved_memory.hpp>
#include <chime/user/sleeper.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/allocator.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

namespace chime::user {

/// The io_context's own executor behind a timer's: that itself, also where it counts as work, or what
/// a strand stands on.
[[nodiscard]] inline std::optional<boost::asio::io_context::executor_type> plain_within(
    const boost::asio::any_io_executor& executor) {
  using boost::asio::strand;
  using plain = boost::asio::io_context::executor_type;
  using tracked = std::decay_t<decltype(boost::asio::require(
      std::declval<const plain&>(), boost::asio::execution::outstanding_work.tracked))>;
  const auto own = [](const auto& typed) {
    return boost::asio::query(typed, boost::asio::execution::context).get_executor();
  };
  if (const auto* const typed = detail::plain(executor)) return *typed;
  if (const auto* const typed = executor.target<tracked>()) return own(*typed);
  if (const auto* const s = executor.target<strand<plain>>()) return s->get_inner_executor();
  if (const auto* const s = executor.target<strand<tracked>>()) return own(s->get_inner_executor());
  if (const auto* const s = executor.target<strand<boost::asio::any_io_executor>>())
    return plain_within(s->get_inner_executor());
  return std::nullopt;
}

class service final : public boost::asio::execution_context::service {
 public:
  static inline boost::asio::execution_context::id id;

  explicit service(boost::asio::execution_context& context)
      : boost::asio::execution_context::service{context},
        scheduler_{system_time_, std::thread::hardware_concurrency()},
        // Now, so that Asio's services are there before this one: those hear of a fork first.
        sleeper_{std::in_place, context} {}

  /// The right to call what stands under "With access", one thread at a time. Waits that end
  /// meanwhile are sent on their way when it ends.
  class access {
   public:
    explicit access(service& s) : service_{s} { lock(); }
    access(const access&) = delete;
    access& operator=(const access&) = delete;
    ~access() { pause(); }

   private:
    friend class service;

    void lock() noexcept {
      // Each time anew: other threads may have come in meanwhile, see share_between_threads().
      locks_ = !service_.is_single_threaded();
      if (locks_) service_.mutex_.lock();
    }
    void unlock() noexcept {
      if (locks_) service_.mutex_.unlock();
    }
    void pause() noexcept {
      while (operation* const op = service_.leaving_.pop_front()) {
        service_.posted_.push_back(*op);  // it is the service's until it arrives
        unlock();
        const bool is_on_its_way = op->try_post();
        lock();
        if (!is_on_its_way) service_.keep(*op);
      }
      unlock();
    }

    service& service_;
    bool locks_ = false;
  };

  /// \name With access
  /// \{

  /// How much later than its deadline a timer may be served that does not say so itself. For timers
  /// that are opened from now on.
  void set_default_tolerance(nanoseconds tolerance) noexcept { default_tolerance_ = tolerance; }

  [[nodiscard]] engine::scheduler& scheduler() noexcept { return scheduler_; }

  /// Takes a timer in. \param executor the timer's \param line the one it belongs to at first
  void add(hosted_timer& t, const boost::asio::any_io_executor& executor, engine::time_line& line) {
    engine::time_line::set_tolerance(t, default_tolerance_);
    t.put_on(line);
    if (!here_) here_ = plain_within(executor);
    t.next_ = timers_;
    if (timers_) timers_->prev_ = &t;
    timers_ = &t;
  }

  /// Lets it go. Its wait ends with operation_aborted.
  void remove(hosted_timer& t) noexcept {
    cancel(t);
    engine::time_line::remove(t);
    (t.prev_ ? t.prev_->next_ : timers_) = t.next_;
    if (t.next_) t.next_->prev_ = t.prev_;
    if (virtual_ && virtual_->waited_for == &t) virtual_->waited_for = t.next_;
    t.prev_ = t.next_ = nullptr;
  }

  /// Lets a timer expire if it is due, before anybody asks it anything. \return the time on its
  /// line
  nanoseconds settle(hosted_timer& t) {
    if (t.wants_clock()) notice_clock();
    const nanoseconds now = scheduler_.now(t.line());
    const auto expire = [&](hosted_timer& due) {
      if (due.expire(now)) send_off(due);
      file(due);
    };
    if (!rules::is_due(t.next_deadline(), now)) return now;
    // Where a wait will end by it, those that are due before it go first (E6).
    while (t.waiter_ && t.is_filed()) {
      engine::scheduled* const first = t.line().pop_due(now);
      if (!first) break;
      expire(static_cast<hosted_timer&>(*first));
    }
    if (rules::is_due(t.next_deadline(), now)) {
      engine::time_line::remove(t);
      expire(t);
    }
    return now;
  }

  /// Puts a timer where it belongs, after anything that may have moved its deadline. It keeps its
  /// place among equals (E6) if that is where it stands, unless it is armed anew.
  void file(hosted_timer& t, bool anew = false) {
    const nanoseconds deadline = t.next_deadline();
    engine::time_line& line = t.line();
    if (!anew && t.is_filed_at(line, deadline)) return;
    engine::time_line::file(t, line, deadline);
    if (deadline == rules::never) return;
    const bool is_first = follows_clock(line.on()) && !std::exchange(follows_clock_, true);
    if (waits_ == 0) return;
    if (is_first)
      sleep();  // and watch the clock from now on
    else
      sleep_for(t, line, deadline);
  }

  /// Has a timer belong to another line. It is filed anew then.
  void move(hosted_timer& t, engine::time_line& line) noexcept {
    engine::time_line::remove(t);
    t.put_on(line);
  }

  /// Changes how late it may be served. It keeps its place among equals.
  void set_tolerance(hosted_timer& t, nanoseconds tolerance) {
    engine::time_line::set_tolerance(t, tolerance);
    if (waits_ != 0 && t.is_filed()) sleep_for(t, t.line(), t.next_deadline());
  }

  /// Begins a wait, or throws and has not. It does not ask whether the timer is due: if it is, it
  /// will be served at once. \pre the timer has no other
  void wait(hosted_timer& t, operation& op) {
    is_idle_ = false;
    op.is_aborted_ = false;
    op.is_counted_ = false;
    if (is_shut_down_) {
      if (op.is_resumption_) return;  // it stays where it is, for ever
      op.is_aborted_ = true;
      posted_.push_back(op);  // nobody runs it any more
    } else if (t.is_ready()) {
      ready_.push_back(op);
      try {
        sleep();
      } catch (...) {
        ready_.remove(op);
        throw;
      }
    } else {
      if (virtual_) {
        sleep();  // perhaps it is due, but nobody has looked since it was set
        virtual_->waited_for = &t;
      } else if (waits_ == 0 && ready_.empty()) {
        sleep_until(scheduler_.next_look());
      }
      t.waiter_ = &op;
      op.timer_ = &t;
      ++waits_;
    }
    op.service_ = this;
  }

  /// Forgets a wait that is not on its way.
  void withdraw(resumption& op) noexcept {
    if (op.timer_) {
      take_waiter(*op.timer_);
      --waits_;
    } else {
      ready_.remove(op);
      if (op.is_counted_) --waits_;
    }
    op.service_ = nullptr;
    if (waits_ == 0) sleep_if_possible();  // no more
  }

  /// A timer that stands in no line has become ready: ends its wait, if it has one.
  void wake(hosted_timer& t) noexcept {
    operation* const op = take_waiter(t);
    if (!op) return;
    --waits_;
    ready_.push_back(*op);
    if (is_gathering_ || will_serve_) return;
    if (!sleeper_) return sleep_if_possible();
    if (sleeper_->is_asleep() && sleeps_until_ == nanoseconds::min()) return;
    try {
      sleep_until(nanoseconds::min());  // not by a post: on another thread that takes memory
    } catch (...) {
    }
  }

  /// Serves at once those timers that `gather()`, with access, wakes. \pre called without access, by a
  /// thread that runs the context
  template <class Gather>
  void serve_after(Gather gather) {
    access locked{*this};
    is_gathering_ = true;
    try {
      gather();
    } catch (...) {
      is_gathering_ = false;
      sleep();
      throw;
    }
    is_gathering_ = false;
    serve(locked);
  }

  /// There are timers that other threads tell of: from now on everybody takes the lock, whatever
  /// was assumed. \pre called by the thread that was the only one
  void share_between_threads() noexcept { is_single_threaded_ = false; }

  /// Ends a timer's wait with operation_aborted, if it has one that is not on its way already.
  void cancel(hosted_timer& t) noexcept { send_off(t, outcome::aborted); }

  /// Reserves what there is one of in the virtual process; false if it is taken.
  [[nodiscard]] bool claim(unsigned which) noexcept {
    const bool is_free = (claimed_ & 1U << which) == 0;
    claimed_ |= 1U << which;
    return is_free;
  }
  void unclaim(unsigned which) noexcept { claimed_ &= ~(1U << which); }

  /// From now on timers that want it are told when somebody sets the clock. Called before one is
  /// set that does, so that it is not told of what was before.
  void begin_clock_watch() {
    if (!sleeper_) return;
    sleeper_->open_watch();
    follows_clock_ = true;
    notice_clock();
  }

  /// How long a thread may sleep that blocks until a timer is ready: to its deadline, but not so
  /// long as to sleep through a step of its clock.
  [[nodiscard]] nanoseconds nap_for(hosted_timer& t) {
    const engine::time_line& line = t.line();
    const nanoseconds now = scheduler_.now(engine::base::monotonic);
    const nanoseconds left = rules::remaining(scheduler_.look_for(t, line, t.next_deadline()), now);
    const nanoseconds longest = follows_clock(line.on()) || t.wants_clock()
                                    ? std::chrono::milliseconds{50}
                                    : nanoseconds{std::chrono::hours{1}};
    return std::min(left, longest);
  }

  /// \}

  /// \name Virtual time
  /// \{

  /// The clocks that stand for the system's here; null if timers go by those.
  [[nodiscard]] engine::virtual_clocks* virtual_clocks() noexcept {
    return virtual_ ? &virtual_->clocks : nullptr;
  }

  /// How the executors of a wait at one of the context's timers are told of it. \param if_virtual
  /// who need not be where time is virtual
  [[nodiscard]] detail::work_of work(detail::covered if_virtual) noexcept {
    return {context(), virtual_ ? if_virtual : detail::covered::plain};
  }

  /// Goes by virtual clocks from now on, for good. EBUSY: there are timers that go by the system's.
  void install(const engine::virtual_clocks& clocks, const boost::asio::any_io_executor& executor,
               error_code& ec) {
    const access locked{*this};
    ec = {};
    if (virtual_) return;
    if (timers_) {
      ec = error::from_errno(EBUSY);
      return;
    }
    sleeper_.reset();
    virtual_.emplace(virtual_world{clocks, executor});
    scheduler_.use(virtual_->clocks);
  }

  /// Moves the virtual clocks, and has served what is due then.
  template <class Move>
  void move_clocks(Move move) {
    const access locked{*this};
    move(virtual_->clocks);
    sleep();
  }

  /// Sets the virtual realtime clock: what is due expires before, and those are told who asked for
  /// it (F10, F14).
  template <class Move>
  void step_clock(Move move) {
    const access locked{*this};
    for (hosted_timer* t = timers_; t; t = t->next_) settle(*t);
    move(virtual_->clocks);
    tell_clock_was_set();
    sleep();
  }

  /// How long the virtual machine can be suspended before an alarm wakes it.
  [[nodiscard]] nanoseconds left_to_alarm() {
    const access locked{*this};
    nanoseconds least = rules::never;
    for (hosted_timer* t = timers_; t; t = t->next_) settle(*t);
    for (hosted_timer* t = timers_; t; t = t->next_)
      if (t->wakes_machine() && t->next_deadline() != rules::never)
        least = std::min(least, rules::remaining(t->next_deadline(), scheduler_.now(t->line())));
    return least;
  }

  /// How long until the next timer is served on those bases for which `counts(base)`;
  /// `rules::never` if there is none.
  template <class Predicate>
  [[nodiscard]] nanoseconds left(Predicate counts) {
    const access locked{*this};
    return scheduler_.left(counts);
  }

  /// Whether anybody waits for a timer that will expire by itself as time passes.
  [[nodiscard]] bool waits_for_time() {
    const access locked{*this};
    const auto find = [&](hosted_timer* from, const hosted_timer* to) {
      for (hosted_timer* t = from; t != to; t = t->next_) {
        if (!t->waiter_ || !t->is_filed() || engine::is_cpu(t->line().on())) continue;
        virtual_->waited_for = t;
        return true;
      }
      return false;
    };
    // Asked each time before time passes: goes on where it found one, or where one was last waited
    // for or set, and not by all again that have expired since.
    hosted_timer* const last = virtual_->waited_for;
    return find(last, nullptr) || find(timers_, last);
  }

  /// \}

  /// For a context that only ever one thread runs and uses: no locks. Before the first timer is
  /// opened.
  void assume_single_thread(bool one) noexcept { is_single_threaded_ = one && !timers_; }

  /// Whether a timer that is opened now, and that no other thread tells of, need not be locked.
  [[nodiscard]] bool is_single_threaded() const noexcept {
    return is_single_threaded_.load(std::memory_order_relaxed);
  }

 private:
  friend class operation;

  // How many timers are served in one go before the context gets to do something else.
  static constexpr unsigned fair_share = 128;

  /// How a wait ends.
  enum class outcome : bool { ready, aborted };

  struct virtual_world {
    engine::virtual_clocks clocks;
    boost::asio::any_io_executor executor;
    bool will_serve = false;             // posted
    hosted_timer* waited_for = nullptr;  // perhaps, see waits_for_time(); null: none
  };

  /// Asks for the bytes before and after an address. Whatever is there, it does no harm.
  static void prefetch_around(const void* object, std::uintptr_t before,
                              std::uintptr_t after) noexcept {
    constexpr std::uintptr_t line = 64;
    const auto at = reinterpret_cast<std::uintptr_t>(object);
    for (auto i = (at - before) / line * line; i < at + after; i += line)
      engine::prefetch(reinterpret_cast<const void*>(i));
  }

  static bool follows_clock(engine::base on) noexcept {
    return engine::can_step(on) || on == engine::base::boottime;
  }

  /// Takes the wait of a timer, if it has one.
  operation* take_waiter(hosted_timer& t) noexcept {
    operation* const op = std::exchange(t.waiter_, nullptr);
    if (op) op->timer_ = nullptr;
    return op;
  }

  /// Ends the wait of a timer, not from within this function. It counts until then: whoever has a
  /// wait cancelled mostly begins the next one, and the engine need not get up in between.
  void send_off(hosted_timer& t, outcome o = outcome::ready) noexcept {
    operation* const op = take_waiter(t);
    if (!op) return;
    op->is_aborted_ = o == outcome::aborted;
    op->is_counted_ = true;
    if (op->is_resumption_ || here_) {
      ready_.push_back(*op);
      sleep_if_possible();
    } else {
      leaving_.push_back(*op);
    }
  }

  /// Has `serve` called by way of the context's queue. To set the sleeper to what has passed does
  /// so too, but that takes an interrupt: 10 us and more on a virtual machine. False if there is no
  /// executor or no memory for it.
  [[nodiscard]] bool post_serve() noexcept {
    if (will_serve_) return true;
    if (!here_) return false;
    try {
      // (By the executor itself: boost::asio::post() would look what executor this function has.)
      namespace execution = boost::asio::execution;
      boost::asio::require(*here_, execution::blocking.never,
                           execution::allocator(memory_.get_allocator()))
          .execute([this] {
            access locked{*this};
            will_serve_ = false;
            serve(locked);
          });
    } catch (...) {
      return false;
    }
    return will_serve_ = true;
  }

  /// For want of memory, a wait cannot be sent on its way: it is served as one that is ready. It
  /// counts, so the engine sleeps or will do so, and to wake one that sleeps on a timerfd takes no
  /// memory. Others may fail at that too; then it is served with whatever comes next.
  void keep(operation& op) noexcept {
    posted_.remove(op);
    ready_.push_back(op);
    sleep_if_possible();
  }

  void sleep_if_possible() noexcept {
    try {
      sleep();
    } catch (...) {
    }
  }

  /// A wait has come where it was sent.
  void receive(operation& op) {
    const access locked{*this};
    posted_.remove(op);
    if (--waits_ == 0) sleep();
  }

  /// Serves whatever is due, again and again until nothing is, or others have waited long enough.
  /// Handlers that are ready are there for every thread that runs the context: one of them may take
  /// long, or wait for another.
  void serve(access& locked) {
    for (unsigned served = 0; served != fair_share; ++served) {
      if (ready_.empty()) collect_due();
      operation* const op = ready_.pop_front();
      if (!op) return sleep();
      if (op->is_counted_) --waits_;
      if ((waits_ != 0 || !ready_.empty()) && !will_serve_) {
        if (!ready_.empty() || !sleeper_ || !sleeper_->is_asleep()) sleep();
      }
      const bool is_last = !op->is_in_context_ && (here_ || virtual_);
      locked.pause();
      try {
        op->complete();
      } catch (...) {
        locked.lock();
        end_turn();
        throw;
      }
      locked.lock();
      // What is thrown by a handler that is dispatched, to a strand say, Asio keeps until this thread
      // is back. And where a handler stopped the context, the rest is for later. (Without here_, to
      // come back would take an interrupt each time.)
      if (is_last ||
          (here_ && boost::asio::query(*here_, boost::asio::execution::context).stopped()))
        break;
    }
    end_turn();
  }

  /// There is perhaps more to serve, but not now.
  void end_turn() {
    collect_due();  // though others are ready: they may be so for ever
    sleep();
  }

  /// Lets timers expire that are due, and makes the waits for them ready.
  void collect_due() noexcept {
    if (waits_ == 0 && !virtual_) return;  // for nobody
    scheduler_.look();
    // Of many timers none is in the processor's caches: asks for each a while before it is used, with
    // what stands around it, a detail::timer_state, and behind its wait, a coroutine's frame.
    constexpr unsigned ahead = 32;
    engine::scheduler::expired due[ahead];
    unsigned taken = 0;
    unsigned expired = 0;
    while (taken != fair_share && (due[taken % ahead] = scheduler_.pop_due()).timer) {
      prefetch_around(due[taken % ahead].timer, 56, 264);
      if (++taken >= ahead) expire(due[expired++ % ahead]);
    }
    while (expired != taken) expire(due[expired++ % ahead]);
  }

  void expire(const engine::scheduler::expired& due) noexcept {
    auto& t = static_cast<hosted_timer&>(*due.timer);
    if (t.expire(due.now)) {
      if (operation* const op = take_waiter(t)) {
        prefetch_around(op, 0, 320);
        --waits_;
        ready_.push_back(*op);
      }
    }
    if (const nanoseconds again = t.next_deadline(); again != rules::never)
      engine::time_line::file(t, t.line(), again);
  }

  /// Has `serve` called when it is time to look, if anybody waits.
  void sleep() {
    if (virtual_) {
      const auto any = [](engine::base) { return true; };
      if (virtual_->will_serve || is_shut_down_ ||
          (ready_.empty() && scheduler_.left(any) != nanoseconds::zero()))
        return;
      boost::asio::post(virtual_->executor, [this] {
        access locked{*this};
        virtual_->will_serve = false;
        serve(locked);
      });
      virtual_->will_serve = true;
    } else if (!ready_.empty()) {
      // Others may serve them, or this thread when it is back.
      if (!post_serve()) sleep_until(nanoseconds::min());
    } else if (waits_ == 0) {
      if (!sleeper_ || !sleeper_->is_pending()) return;
      // Whoever gave up a wait mostly begins another soon: lets what is queued go first.
      if (std::exchange(is_idle_, true) || !post_serve()) {
        is_idle_ = false;
        sleeper_->cancel();
      }
    } else {
      sleep_until(scheduler_.next_look());
    }
  }

  /// The same for one timer that has just been set.
  void sleep_for(hosted_timer& t, const engine::time_line& line, nanoseconds deadline) {
    if (virtual_ && t.waiter_) virtual_->waited_for = &t;
    if (!sleeper_) return sleep();
    const nanoseconds look = scheduler_.look_for(t, line, deadline);
    if (look < sleeps_until_ || !sleeper_->is_asleep()) sleep_until(look);
  }

  void sleep_until(nanoseconds look) {
    if (!sleeper_) return;
    if (follows_clock_ && !watch_clock())
      look = std::min(look, rules::saturating_add(scheduler_.now(engine::base::monotonic),
                                                  sleeper::longest_without_watch));
    // Only ever lowered: to wake in vain once costs less than to be set anew each time that a wait
    // is given up.
    if (sleeper_->is_asleep() && sleeps_until_ <= look) return;
    sleeper_->sleep(look, [this](sleeper::generation sleep) {
      access locked{*this};
      if (!sleeper_ || !sleeper_->wake(sleep)) return;
      if (!sleeper_->is_watching()) notice_clock();
      serve(locked);
    });
    sleeps_until_ = look;
  }

  bool watch_clock() {
    return sleeper_->watch_clock([this](sleeper::generation watch) {
      access locked{*this};
      if (!sleeper_ || !sleeper_->end_watch(watch)) return;
      notice_clock();
      serve(locked);
    });
  }

  void notice_clock() {
    if (!sleeper_ || !follows_clock_ || !sleeper_->clock_was_set()) return;
    tell_clock_was_set();
    sleep();  // deadlines on that clock have moved
  }

  void tell_clock_was_set() noexcept {
    for (hosted_timer* t = timers_; t; t = t->next_)
      if (t->clock_was_set()) send_off(*t);
  }

  void shutdown() override {
    for (hosted_timer* t = timers_; t; t = t->next_) t->host_is_going();
    operation_list waiting, ready, posted;  // after the lock: their handlers may own timers
    const access locked{*this};
    is_shut_down_ = true;
    for (hosted_timer* t = timers_; t; t = t->next_)
      if (operation* const op = take_waiter(*t)) waiting.push_back(*op);
    ready.swap(ready_);
    posted.swap(posted_);
    // What lives in a coroutine's frame goes with that, perhaps as soon as the others are dropped.
    waiting.drop_resumptions();
    ready.drop_resumptions();
    waits_ = 0;
    sleeper_.reset();
  }

  void notify_fork(boost::asio::execution_context::fork_event event) override {
    if (event != boost::asio::execution_context::fork_child) return;
    const access locked{*this};
    if (sleeper_) sleeper_->forked();
    for (hosted_timer* t = timers_; t; t = t->next_) {
      t->forked();
      if (t->is_ready()) send_off(*t);
      file(*t);
    }
    sleep();
  }

  detail::mutex mutex_;
  std::atomic<bool> is_single_threaded_ = false;
  engine::system_time system_time_;
  engine::scheduler scheduler_;
  std::optional<virtual_world> virtual_;
  std::optional<sleeper> sleeper_;  // unless time is virtual, or the context shut down
  nanoseconds sleeps_until_ = rules::never;
  nanoseconds default_tolerance_{};
  bool follows_clock_ = false;  // somebody must know when the clock is set
  hosted_timer* timers_ = nullptr;
  operation_list ready_;    // over, to be completed by the next thread that serves
  operation_list leaving_;  // over, and to be posted
  operation_list posted_;   // on its way
  std::optional<boost::asio::io_context::executor_type> here_;  // by which what is ready is served
  bool will_serve_ = false;                                     // posted to it
  reserved_memory memory_;                                      // of what is posted to it
  bool is_idle_ = false;  // nobody has waited since it was posted
  bool is_shut_down_ = false;
  bool is_gathering_ = false;  // and will serve then
  unsigned claimed_ = 0;
  unsigned waits_ = 0;  // while it is not 0, the engine sleeps for them
};

inline void resumption::withdraw() noexcept {
  if (!service_) return;
  const service::access locked{*service_};
  service_->withdraw(*this);
}

/// A wait has arrived in the context after it was posted.
inline void operation::arrived(operation& op) {
  op.service_->receive(op);
  op.complete();
}

}  // namespace chime::user
