// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/mutex.hpp>
#include <chime/error.hpp>

#include <boost/asio/error.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

namespace chime::detail {

template <class Facility>
class turn;

/// Names a wait for as long as the timer lives. 0 names none.
using ticket = std::uint64_t;

/// A wait that stands in line behind another wait for the same timer. It is gone after either call.
template <class Facility>
class waiter {
 public:
  /// Its turn has come: begins to wait for the facility, on its own executor. Called without a
  /// lock.
  virtual void begin(turn<Facility> mine) = 0;

  /// Completes with an error, on its own executor.
  virtual void fail(error_code ec) = 0;

  waiter* next = nullptr;
  ticket number = 0;

 protected:
  ~waiter() = default;
};

/// A wait whose coroutine may be gone before its handler arrives: the handler knows its ticket and
/// finds it by that, or does not.
struct enlisted_wait {
  enlisted_wait* next = nullptr;
  ticket number = 0;
};

/// What a timer shares with its outstanding waits, which may outlive it by a moment.
///
/// Waits are served first come, first served. At most one of them, the one whose *turn* it is,
/// waits for the facility; the others stand in line. Only the wait that has the turn takes
/// expirations, so no two waits race for one count, and a wait that is cancelled has taken nothing.
///
/// Two locks. Where both are held, `beginning` is taken first.
/// - `beginning` is held while a wait from the line begins at the facility, so that a cancel or a
///   close comes before that or after it;
/// - `mutex` protects the rest, and the facility's set, get and take.
template <class Facility>
class timer_state : public std::enable_shared_from_this<timer_state<Facility>> {
  static constexpr bool may_do_without_locks =
      requires(Facility& facility) { facility.is_single_threaded(); };

 public:
  using mutex_type = std::conditional_t<may_do_without_locks, optional_mutex, detail::mutex>;

  template <class... Args>
  explicit timer_state(Args&&... args) : facility(std::forward<Args>(args)...) {
    if constexpr (may_do_without_locks)
      beginning.is_needed = mutex.is_needed = !facility.is_single_threaded();
  }

  // In this order, for what each expiration needs stands together then, at the end of one and the
  // beginning of the other: in fewer lines of the cache.
 private:
  waiter<Facility>* last_ = nullptr;
  enlisted_wait* enlisted_ = nullptr;
  std::shared_ptr<timer_state> kept_alive_;  // by the turn, once the timer is gone
  waiter<Facility>* first_ = nullptr;        // the line, oldest first
  ticket drawn_ = 0;
  std::atomic<ticket> holder_ = 0;  // who has the turn; 0 while it is free
  bool cancelled_ = false;          // whether the holder is to give up instead of waiting on

 public:
  bool is_open = true;
  mutex_type beginning;
  mutex_type mutex;
  Facility facility;

  /// The timer is gone: whoever has the turn keeps the state from now on. \pre locked
  void retire() noexcept {
    is_open = false;
    if (holder_.load(std::memory_order_relaxed) != 0) kept_alive_ = this->shared_from_this();
    cancel_all();
  }

  /// A ticket for a new wait. \pre called by the timer's user, one call at a time
  [[nodiscard]] ticket draw_ticket() noexcept { return ++drawn_; }

  /// Takes the turn if it is free. Lock-free, so that a lone wait begins without a lock.
  [[nodiscard]] bool claim_turn(ticket number) noexcept {
    if constexpr (may_do_without_locks) {
      if (!mutex
               .is_needed) {  // then no atomic exchange either: 2 % of a timeout, 3 % of an expiration
        if (holder_.load(std::memory_order_relaxed) != 0) return false;
        holder_.store(number, std::memory_order_relaxed);
        return true;
      }
    }
    ticket nobody = 0;
    return holder_.compare_exchange_strong(nobody, number, std::memory_order_acq_rel);
  }

  /// Hands the turn to the oldest waiter, who is to be told to begin, or frees it. \pre locked
  [[nodiscard]] waiter<Facility>* next_turn() noexcept {
    waiter<Facility>* const next = first_;
    if (next) leave_after(nullptr, next);
    cancelled_ = false;
    holder_.store(next ? next->number : 0, std::memory_order_release);
    return next;
  }

  /// Whether the holder of the turn has been cancelled. \pre locked
  [[nodiscard]] bool is_cancelled() const noexcept { return cancelled_ || !is_open; }

  /// \pre locked, and the turn is not free
  void stand_in_line(waiter<Facility>& w) noexcept {
    (last_ ? last_->next : first_) = &w;
    last_ = &w;
  }

  /// Has find() know of a wait. \pre locked
  void enlist(enlisted_wait& w) noexcept {
    w.next = enlisted_;
    enlisted_ = &w;
  }

  /// Takes an enlisted wait off the list; null if it is not there any more. \pre locked
  enlisted_wait* find(ticket number) noexcept {
    for (enlisted_wait** at = &enlisted_; *at; at = &(*at)->next)
      if ((*at)->number == number) return std::exchange(*at, (*at)->next);
    return nullptr;
  }

  /// What a wait gets that has the turn and was woken, perhaps nothing. One that was cancelled in
  /// the last moment, after it was ready, takes nothing: the next wait gets it. \pre locked
  [[nodiscard]] auto take(error_code& ec) {
    if (!ec && is_cancelled()) ec = boost::asio::error::operation_aborted;
    return ec ? decltype(facility.take(ec)){} : facility.take(ec);
  }

  /// Cancels one wait, unless it is over.
  void cancel(ticket number) {
    const std::lock_guard at_facility{beginning};
    const std::lock_guard lock{mutex};
    if (holder_.load(std::memory_order_relaxed) == number) {
      cancel_holder();
      return;
    }
    waiter<Facility>* before = nullptr;
    for (waiter<Facility>* w = first_; w; before = std::exchange(w, w->next)) {
      if (w->number != number) continue;
      leave_after(before, w);
      w->fail(boost::asio::error::operation_aborted);
      return;
    }
  }

  /// Cancels all waits. \pre locked
  void cancel_all() {
    cancel_holder();
    while (waiter<Facility>* w = first_) {
      leave_after(nullptr, w);
      w->fail(boost::asio::error::operation_aborted);
    }
  }

 private:
  void cancel_holder() {
    if (holder_.load(std::memory_order_relaxed) == 0) return;
    cancelled_ = true;
    if (is_open) facility.cancel();
  }

  void leave_after(waiter<Facility>* before, waiter<Facility>* w) noexcept {
    (before ? before->next : first_) = w->next;
    if (last_ == w) last_ = before;
    w->next = nullptr;
  }

  friend class turn<Facility>;
};

/// The right to wait for the facility, held by one wait at a time. Whoever is done with it, or is
/// destroyed without ever being called, passes it on to the next in line.
template <class Facility>
class turn {
  using mutex_type = typename timer_state<Facility>::mutex_type;

 public:
  /// Somebody else's turn.
  turn() noexcept = default;

  /// \pre the turn has been claimed or handed over by next_turn()
  explicit turn(timer_state<Facility>& state) noexcept : state_{&state} {}
  turn(turn&& other) noexcept : state_{std::exchange(other.state_, nullptr)} {}
  turn& operator=(turn&&) = delete;
  ~turn() {
    if (state_) [[unlikely]]
      give_up();
  }

  [[nodiscard]] timer_state<Facility>& state() const noexcept { return *state_; }

  /// Passes it on and unlocks. \pre `lock` holds the state's mutex
  void pass(std::unique_lock<mutex_type>& lock) noexcept {
    timer_state<Facility>& state = *std::exchange(state_, nullptr);
    waiter<Facility>* const next = state.next_turn();
    if (next || state.kept_alive_) [[unlikely]]
      return pass_to(next, lock, state);
    lock.unlock();
  }

  /// Passes it on, if it is held.
  [[gnu::noinline, gnu::cold]] void give_up() noexcept {
    if (!state_) return;
    std::unique_lock lock{state_->mutex};
    pass(lock);
  }

 private:
  // Out of line, as give_up() is: they hardly ever happen, and destructors of moved-from turns
  // abound.
  [[gnu::noinline, gnu::cold]] static void pass_to(waiter<Facility>* next,
                                                   std::unique_lock<mutex_type>& lock,
                                                   timer_state<Facility>& state) noexcept {
    // The state goes with the next turn, or else as soon as it is unlocked.
    const auto last_breath = next ? nullptr : std::move(state.kept_alive_);
    lock.unlock();
    if (next) next->begin(turn{state});
  }

  timer_state<Facility>* state_ = nullptr;
};

}  // namespace chime::detail
