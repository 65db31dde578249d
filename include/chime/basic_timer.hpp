// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/detail/cancel_wait.hpp>
#include <chime/detail/native_wait.hpp>
#include <chime/detail/queued_wait.hpp>
#include <chime/detail/timer_state.hpp>
#include <chime/detail/wait_operation.hpp>
#include <chime/duration.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/read_clock.hpp>
#include <chime/setting.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <concepts>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace chime {

/// The completion token of a wait where none is given: the executor's own default, else
/// asio::deferred. (Before Asio 1.28 an executor without a default of its own names none at all.)
template <class Executor>
using default_wait_token = std::conditional_t<
    std::is_void_v<typename boost::asio::default_completion_token<Executor>::type>,
    boost::asio::deferred_t, typename boost::asio::default_completion_token<Executor>::type>;

/// A timer that is set and then waited for, again and again.
///
/// Setting and waiting are independent: a timer expires whether or not anybody waits, what it
/// expired is kept as a count, and the next wait takes the whole count at once. Nothing is ever
/// reported early, twice or not at all.
///
///     set          expires   expires   expires             expires
///      |--- value ---|-- interval --|-- interval --|-- interval --|
///                    ^              .  (nobody waits)  ^ wait: 2 expirations, overrun 1,
///                    wait: 1 expiration, overrun 0       scheduled when the later was due
///
/// Times are chrono durations and the clock's time_points, at nanosecond resolution, rounded up and
/// saturated (see duration.hpp); signed 64-bit nanoseconds reach 292 years. A zero value disarms. A
/// negative value or interval is EINVAL, and the earlier setting stands.
///
/// Each function that can fail has two forms: one with an error_code& at the end, and one that
/// throws system_error.
///
/// Thread safety: distinct objects: safe. Shared objects: unsafe; but waits that are outstanding
/// complete safely beside calls on the object, on whatever threads their executors run. expiry and
/// setting are values.
///
/// Cancellation of a wait never loses an expiration: see async_wait().
///
/// \tparam Facility the kind of timer and who keeps it: kernel::timerfd<monotonic_clock>, say. Name
///         it through an alias: chime::timerfd<Clock>.
/// \tparam Executor the I/O executor, as of any Asio I/O object.
template <class Facility, class Executor = boost::asio::any_io_executor>
class basic_timer {
  using state_type = detail::timer_state<Facility>;

  static constexpr bool takes_thread =
      std::constructible_from<Facility, const boost::asio::any_io_executor&, error_code&,
                              thread_clock>;

 public:
  using executor_type = Executor;
  using facility_type = Facility;
  using clock_type = typename Facility::clock_type;
  using time_point = typename clock_type::time_point;
  using setting_type = setting<clock_type>;
  using expiry_type = expiry<clock_type>;

  /// The same timer on another executor type.
  template <class OtherExecutor>
  struct rebind_executor {
    using other = basic_timer<Facility, OtherExecutor>;
  };

  /// Opens a disarmed timer. The errors are the facility's: EINVAL for a clock that it does not
  /// keep, EPERM for one that takes a privilege, EMFILE and the like where there is no room for
  /// another.
  explicit basic_timer(const executor_type& executor) : executor_{executor} {
    error_code ec;
    open(ec);
    throw_if(ec);
  }
  basic_timer(const executor_type& executor, error_code& ec) : executor_{executor} { open(ec); }

  /// The same, for an execution context's default executor.
  template <class Context>
    requires std::convertible_to<Context&, boost::asio::execution_context&>
  explicit basic_timer(Context& context) : basic_timer{executor_type{context.get_executor()}} {}
  template <class Context>
    requires std::convertible_to<Context&, boost::asio::execution_context&>
  basic_timer(Context& context, error_code& ec)
      : basic_timer{executor_type{context.get_executor()}, ec} {}

  /// Opens a disarmed timer on the CPU time of the given thread of this process, where the facility
  /// keeps thread_cpu_clock: see clock_of_thread(). (Without one it is the thread that opens it.)
  /// EINVAL: there is no such thread. Once it has ended, the timer never expires.
  basic_timer(const executor_type& executor, thread_clock thread)
    requires takes_thread
      : executor_{executor} {
    error_code ec;
    open(ec, thread);
    throw_if(ec);
  }
  basic_timer(const executor_type& executor, thread_clock thread, error_code& ec)
    requires takes_thread
      : executor_{executor} {
    open(ec, thread);
  }
  template <class Context>
    requires takes_thread && std::convertible_to<Context&, boost::asio::execution_context&>
  basic_timer(Context& context, thread_clock thread)
      : basic_timer{executor_type{context.get_executor()}, thread} {}
  template <class Context>
    requires takes_thread && std::convertible_to<Context&, boost::asio::execution_context&>
  basic_timer(Context& context, thread_clock thread, error_code& ec)
      : basic_timer{executor_type{context.get_executor()}, thread, ec} {}

  /// Takes over a timer together with its setting and its outstanding waits. What is left is
  /// closed, and keeps its executor.
  basic_timer(basic_timer&& other) noexcept
      : executor_{other.executor_}, state_{std::move(other.state_)} {}
  template <class OtherExecutor>
    requires std::convertible_to<OtherExecutor, Executor>
  basic_timer(basic_timer<Facility, OtherExecutor>&& other)
      : executor_{other.executor_}, state_{std::move(other.state_)} {}

  /// As the move constructor, after closing what was held before.
  basic_timer& operator=(basic_timer&& other) noexcept {
    if (this == &other) return *this;
    close();
    executor_ = other.executor_;
    state_ = std::move(other.state_);
    return *this;
  }
  template <class OtherExecutor>
    requires std::convertible_to<OtherExecutor, Executor>
  basic_timer& operator=(basic_timer<Facility, OtherExecutor>&& other) {
    return *this = basic_timer{std::move(other)};
  }

  /// Closes the timer: outstanding waits complete with operation_aborted.
  ~basic_timer() { close(); }

  [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }

  /// Whether there is a timer: false after close(), release() and being moved from. Then every
  /// function below fails with EBADF.
  [[nodiscard]] bool is_open() const noexcept { return state_ != nullptr; }

  /// Sets the timer, in any way there is, and returns the old setting: the time that remained and
  /// the interval.
  ///
  /// Expirations that nobody took are gone (but for one of an interval timer that was told already:
  /// rule I6, as setitimer(2) leaves its signal pending). Outstanding waits go on, for the new
  /// setting.
  ///
  /// \par Errors
  /// EINVAL: a negative value or interval; the earlier setting stands. error::clock_was_set(): this
  /// setting asks to be told when its clock is set, so did the one before it, the clock was set
  /// since, and no wait has reported it; *this setting is made all the same*, and the old one is
  /// not returned. (One that does not ask forgets it.) See timerfd_settime(2).
  setting_type set(const setting_type& wanted, error_code& ec) {
    return with_facility(ec, [&](Facility& facility) { return facility.set(wanted, ec); });
  }
  setting_type set(const setting_type& wanted) {
    return throwing([&](error_code& ec) { return set(wanted, ec); });
  }

  /// Expires once, `value` from now: set(setting::after(value)). A NaN is EINVAL.
  template <class Rep, class Period>
  setting_type expires_after(std::chrono::duration<Rep, Period> value, error_code& ec) {
    const auto exact = to_nanoseconds(value);
    return exact ? set(setting_type::after(*exact), ec) : refuse(ec);
  }
  template <class Rep, class Period>
  setting_type expires_after(std::chrono::duration<Rep, Period> value) {
    return throwing([&](error_code& ec) { return expires_after(value, ec); });
  }

  /// Expires every `interval`, the first time one of them from now: set(setting::every(interval)).
  template <class Rep, class Period>
  setting_type expires_every(std::chrono::duration<Rep, Period> interval, error_code& ec) {
    const auto exact = to_nanoseconds(interval);
    return exact ? set(setting_type::every(*exact), ec) : refuse(ec);
  }
  template <class Rep, class Period>
  setting_type expires_every(std::chrono::duration<Rep, Period> interval) {
    return throwing([&](error_code& ec) { return expires_every(interval, ec); });
  }

  /// Expires once, at `deadline`, or at once if that has passed: set(setting::at(deadline, {},
  /// step)).
  template <class Duration>
  setting_type expires_at(std::chrono::time_point<typename time_point::clock, Duration> deadline,
                          on_clock_set step, error_code& ec) {
    const auto exact = to_nanoseconds(deadline.time_since_epoch());
    return exact ? set(setting_type::at(time_point{*exact}, {}, step), ec) : refuse(ec);
  }
  template <class Duration>
  setting_type expires_at(std::chrono::time_point<typename time_point::clock, Duration> deadline,
                          error_code& ec) {
    return expires_at(deadline, on_clock_set::follow, ec);
  }
  template <class Duration>
  setting_type expires_at(std::chrono::time_point<typename time_point::clock, Duration> deadline,
                          on_clock_set step = on_clock_set::follow) {
    return throwing([&](error_code& ec) { return expires_at(deadline, step, ec); });
  }

  /// Stops the timer: set(setting::disarmed()). Outstanding waits go on waiting.
  setting_type disarm(error_code& ec) { return set(setting_type::disarmed(), ec); }
  setting_type disarm() { return set(setting_type::disarmed()); }

  /// The time remaining and the interval. A one-shot timer that expired has no time remaining; a
  /// periodic one has the time to its next deadline. Expirations are not lost by it.
  setting_type get(error_code& ec) const {
    return with_facility(ec, [&](Facility& facility) { return facility.get(ec); });
  }
  setting_type get() const {
    return throwing([&](error_code& ec) { return get(ec); });
  }

  /// Takes the expirations that nobody took, if there are any, without waiting.
  ///
  /// \par Errors
  /// error::clock_was_set(): as of async_wait().
  std::optional<expiry_type> try_take(error_code& ec) {
    const auto taken = with_facility(ec, [&](Facility& facility) { return facility.take(ec); });
    return taken.expirations ? std::optional{taken} : std::nullopt;
  }
  std::optional<expiry_type> try_take() {
    return throwing([&](error_code& ec) { return try_take(ec); });
  }

  /// Whether try_take() would take something, or report that the clock was set. Takes nothing.
  /// False once closed.
  [[nodiscard]] bool is_ready() const {
    error_code ignored;
    return with_facility(ignored, [](Facility& facility) { return facility.is_ready(); });
  }

  /// Blocks the calling thread until there are expirations, and takes them. A timer that is
  /// disarmed never has any. Signals do not end the wait, and neither does cancel(): it waits in no
  /// line.
  ///
  /// \par Errors
  /// error::clock_was_set(): as of async_wait().
  expiry_type wait(error_code& ec) {
    for (;;) {
      const auto taken = try_take(ec);
      if (ec) return {};
      if (taken) return *taken;
      state_->facility.wait_ready(ec);
      if (ec) return {};
    }
  }
  expiry_type wait() {
    return throwing([&](error_code& ec) { return wait(ec); });
  }

  /// Waits until there are expirations, and takes them all.
  ///
  /// Any number of waits may be outstanding. They are served in the order in which they were begun,
  /// and each expiration goes to one of them. Setting the timer does not end them; closing or
  /// destroying it does.
  ///
  /// \par Completion signature
  /// `void(error_code, expiry<clock_type>)`. On success there is at least one expiration.
  ///
  /// \par Executor
  /// The handler runs on its associated executor, by default the timer's; never from within this
  /// function. Memory comes from its associated allocator and is freed before the handler runs. (A
  /// wait that has to stand in line takes a little more, from Asio's own.) If the handler's
  /// executor belongs to another context, keep the timer's context running by a work guard: a wait
  /// that was woken in vain is not work of the timer's until it has come back.
  ///
  /// \par Lifetime
  /// The timer may be moved or destroyed while waits are outstanding.
  ///
  /// \par Cancellation
  /// Per operation: terminal, partial and total alike, for a wait that is cancelled takes nothing:
  /// what expires goes to the next wait.
  ///
  /// \par Errors
  /// - asio::error::operation_aborted: cancelled, or the timer was closed.
  /// - error::clock_was_set(): the setting asked to be told when its clock is set, and it was. Said
  ///   to one wait, once, and the count starts anew. A timer that has not expired stays armed; a
  ///   periodic one that had expired before stands still. So set it anew either way.
  /// - EBADF: the timer is closed.
  ///
  /// \par Thread safety
  /// Unsafe beside other calls on the same timer, as all of this class.
  template <boost::asio::completion_token_for<void(error_code, expiry_type)> Token =
                default_wait_token<executor_type>>
  auto async_wait(Token&& token = default_wait_token<executor_type>{}) {
    return boost::asio::async_initiate<Token, void(error_code, expiry_type)>(
        initiate_async_wait{this}, token);
  }

  /// Waits as async_wait() does, in a coroutine of any type that can `co_await` what is awaitable by
  /// itself: `auto tick = co_await timer;`. An asio::awaitable<> cannot; there, await async_wait().
  ///
  /// The coroutine goes on straight from where the wait ends, with no frame of Asio's around it and
  /// no memory but its own frame: the fastest way to wait for a timer that the engine keeps.
  ///
  /// \par Result
  /// expiry<clock_type>, at least one expiration. next(ec) sets `ec` instead of throwing.
  ///
  /// \par Executor
  /// Goes on by the timer's executor, never within the `co_await`, unless the timer is closed.
  ///
  /// \par Lifetime
  /// The timer may be moved or destroyed meanwhile. The suspended coroutine may be destroyed: the
  /// wait ends and takes nothing. That must not happen beside a thread that may be about to resume
  /// it: if several run the context, destroy it on the timer's executor, which is then a strand.
  ///
  /// \par Cancellation
  /// cancel() and close(), and of whatever type by the slot that the coroutine's promise is
  /// associated with (`get_cancellation_slot()`), if there is one; it takes nothing then.
  ///
  /// \par Errors
  /// Those of async_wait().
  ///
  /// \par Thread safety
  /// Unsafe beside other calls on the same timer; so is to destroy the coroutine.
  [[nodiscard]] detail::native_awaitable<Facility, Executor> next(error_code& ec) noexcept {
    return {state_.get(), &executor_, &ec};
  }
  [[nodiscard]] detail::native_awaitable<Facility, Executor> next() noexcept {
    return {state_.get(), &executor_, nullptr};
  }
  detail::native_wait<Facility, Executor> operator co_await() noexcept {
    return {state_.get(), &executor_, nullptr};
  }

  /// The time on the timer's clock, as whoever keeps the timer sees it: `clock_type::now()`, but
  /// where time is virtual (see virtual_time.hpp). The epoch, once closed.
  [[nodiscard]] time_point now() const {
    if (!state_) return {};
    if constexpr (requires(Facility& f) { f.now(); })
      return state_->facility.now();
    else
      return clock_type::now();
  }

  /// How much later than its deadline a wait may complete, for the sake of fewer wake-ups: anywhere
  /// in [deadline, deadline + tolerance], never before. What expires when, and how often, is not
  /// touched by it. Zero unless it or the context's default is set (see engine_options.hpp). A
  /// timer that the kernel keeps makes no use of it. Negative is EINVAL. One that is not zero takes
  /// a little memory; where there is none, std::bad_alloc is thrown and the earlier one stands.
  void set_tolerance(nanoseconds tolerance, error_code& ec) {
    with_facility(ec, [&](Facility& facility) {
      ec = tolerance < nanoseconds::zero() ? error::invalid_argument() : error_code{};
      if constexpr (requires { facility.set_tolerance(tolerance); })
        if (!ec) facility.set_tolerance(tolerance);
      return true;
    });
  }
  void set_tolerance(nanoseconds tolerance) {
    throwing([&](error_code& ec) {
      set_tolerance(tolerance, ec);
      return true;
    });
  }

  /// Ends every outstanding asynchronous wait with operation_aborted, whichever handler has not
  /// begun to run. The setting stands and nothing that expired is lost.
  void cancel() {
    if (!state_) return;
    const std::lock_guard beginning{state_->beginning};
    const std::lock_guard lock{state_->mutex};
    state_->cancel_all();
  }

  /// Ends every outstanding wait with operation_aborted and gives the timer up. See is_open().
  void close() noexcept {
    retire([](Facility& facility) { facility.close(); });
  }

  /// The descriptor of a timerfd or the id of a POSIX timer, if the kernel keeps it; -1 if it does
  /// not, or is closed. It is the timer's: whoever sets it through this handle leaves `scheduled`
  /// wrong from then on.
  [[nodiscard]] int native_handle()
    requires requires(Facility& f) { f.native_handle(); }
  {
    return state_ ? state_->facility.native_handle() : -1;
  }

  /// Gives the descriptor to the caller, still armed and with its count, and ends every outstanding
  /// wait with operation_aborted. See is_open().
  [[nodiscard]] int release()
    requires requires(Facility& f) { f.release(); }
  {
    int handle = -1;
    retire([&](Facility& facility) { handle = facility.release(); });
    return handle;
  }

 private:
  template <class, class>
  friend class basic_timer;

  template <class Handler>
  using queued_wait = detail::queued_wait<Facility, Handler>;

  struct initiate_async_wait {
    using executor_type = Executor;

    [[nodiscard]] executor_type get_executor() const noexcept { return self->executor_; }

    template <class Handler>
    void operator()(Handler&& handler) const {
      if constexpr (std::is_lvalue_reference_v<Handler>) {
        self->start_wait(std::decay_t<Handler>(handler));
      } else {
        self->start_wait(std::move(handler));
      }
    }

    basic_timer* self;
  };

  template <class Handler>
  void start_wait(Handler&& handler) {
    if (!state_) [[unlikely]]
      return queued_wait<Handler>::make(0, executor_, nullptr, std::move(handler))
          ->fail(bad_descriptor());
    const detail::ticket number = state_->draw_ticket();
    if (auto slot = boost::asio::get_associated_cancellation_slot(handler); slot.is_connected())
      slot.template emplace<detail::cancel_wait<Facility>>(state_, number);
    if (!state_->claim_turn(number) && stand_in_line(number, handler)) [[unlikely]]
      return;
    state_->facility.async_ready(detail::wait_operation<Facility, Handler>{
        detail::turn<Facility>{*state_}, std::move(handler)});
  }

  /// False if it is this wait's turn after all.
  template <class Handler>
  [[gnu::noinline]] bool stand_in_line(detail::ticket number, Handler& handler) {
    const std::lock_guard lock{state_->mutex};
    if (state_->claim_turn(number)) return false;
    state_->stand_in_line(
        *queued_wait<Handler>::make(number, executor_, &state_->facility, std::move(handler)));
    return true;
  }

  template <class... Thread>
  void open(error_code& ec, Thread... thread) {
    auto state =
        std::make_shared<state_type>(boost::asio::any_io_executor{executor_}, ec, thread...);
    if (!ec) state_ = std::move(state);
  }

  template <class Retire>
  void retire(Retire give_up) noexcept {
    const auto state = std::exchange(state_, nullptr);
    if (!state) return;
    const std::lock_guard beginning{state->beginning};
    const std::lock_guard lock{state->mutex};
    state->retire();
    give_up(state->facility);
  }

  template <class Function>
  auto with_facility(error_code& ec, Function function) const
      -> std::invoke_result_t<Function, Facility&> {
    if (!state_) {
      ec = bad_descriptor();
      return {};
    }
    const std::lock_guard lock{state_->mutex};
    return function(state_->facility);
  }

  template <class Function>
  static auto throwing(Function function) {
    error_code ec;
    auto result = function(ec);
    throw_if(ec);
    return result;
  }

  static void throw_if(const error_code& ec) {
    if (ec) throw system_error{ec, "chime timer"};
  }

  static error_code bad_descriptor() noexcept { return boost::asio::error::bad_descriptor; }

  /// A time that is none.
  setting_type refuse(error_code& ec) const noexcept {
    ec = state_ ? error::invalid_argument() : bad_descriptor();
    return {};
  }

  executor_type executor_;
  std::shared_ptr<state_type> state_;
};

}  // namespace chime
