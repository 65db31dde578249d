// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/setting.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cerrno>
#include <concepts>
#include <utility>
#include <variant>

namespace chime::detail {

/// The facility that is there: the kernel's, or where it refuses the timer the engine's.
///
/// The kernel refuses with ENOSYS (it does not know the call) or EPERM (a sandbox does not let it
/// through; or a privilege is missing, then the engine refuses as well). Any other error is the
/// answer.
///
/// \tparam User a facility with `static bool is_wanted(executor)`: whether it is to keep the timers
///         of the executor's
///         context whatever the kernel offers
template <class Kernel, class User>
class either {
 public:
  using clock_type = typename Kernel::clock_type;

  template <class... Thread>
    requires std::constructible_from<Kernel, const boost::asio::any_io_executor&, error_code&,
                                     Thread...>
  either(const boost::asio::any_io_executor& executor, error_code& ec, Thread... thread) {
    if (!User::is_wanted(executor)) {
      facility_.template emplace<Kernel>(executor, ec, thread...);
      if (ec.value() != ENOSYS && ec.value() != EPERM) return;
    }
    facility_.template emplace<User>(executor, ec, thread...);
  }

  setting<clock_type> set(const setting<clock_type>& wanted, error_code& ec) {
    return with([&](auto& f) { return f.set(wanted, ec); });
  }
  setting<clock_type> get(error_code& ec) {
    return with([&](auto& f) { return f.get(ec); });
  }
  expiry<clock_type> take(error_code& ec) {
    return with([&](auto& f) { return f.take(ec); });
  }
  [[nodiscard]] bool is_ready() {
    return with([](auto& f) { return f.is_ready(); });
  }
  template <class Handler>
  void async_ready(Handler&& handler) {
    with([&](auto& f) { f.async_ready(std::forward<Handler>(handler)); });
  }

  [[nodiscard]] bool is_virtual() const noexcept {
    const User* const user = std::get_if<User>(&facility_);
    return user && user->is_virtual();
  }

  using embedded_wait = typename User::embedded_wait;
  [[nodiscard]] bool may_resume() const noexcept {
    const User* const user = std::get_if<User>(&facility_);
    return user && user->may_resume();
  }
  /// \pre may_resume()
  void begin(embedded_wait& wait) { std::get_if<User>(&facility_)->begin(wait); }

  void wait_ready(error_code& ec) {
    with([&](auto& f) { f.wait_ready(ec); });
  }
  void cancel() {
    with([](auto& f) { f.cancel(); });
  }
  void close() {
    with([](auto& f) { f.close(); });
  }

  [[nodiscard]] typename clock_type::time_point now() {
    if (User* const user = std::get_if<User>(&facility_)) return user->now();
    if constexpr (requires(Kernel& kernel) { kernel.now(); })
      return std::get_if<Kernel>(&facility_)->now();
    else
      return clock_type::now();
  }
  void set_tolerance(nanoseconds tolerance) {
    if (User* const user = std::get_if<User>(&facility_)) user->set_tolerance(tolerance);
  }

  /// -1 where the engine keeps the timer.
  [[nodiscard]] int native_handle()
    requires requires(Kernel& kernel) { kernel.native_handle(); }
  {
    Kernel* const kernel = std::get_if<Kernel>(&facility_);
    return kernel ? kernel->native_handle() : -1;
  }

  /// As close(), but the descriptor stays open and is the caller's. An engine-kept timer has none:
  /// -1.
  [[nodiscard]] int release()
    requires requires(Kernel& kernel) { kernel.release(); }
  {
    if (Kernel* const kernel = std::get_if<Kernel>(&facility_)) return kernel->release();
    close();
    return -1;
  }

 private:
  template <class Function>
  decltype(auto) with(Function function) {
    if (Kernel* const kernel = std::get_if<Kernel>(&facility_)) [[likely]]
      return function(*kernel);
    return function(*std::get_if<User>(&facility_));
  }

  std::variant<std::monostate, Kernel, User> facility_;
};

}  // namespace chime::detail
