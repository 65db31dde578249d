// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/engine/itimer_model.hpp>
#include <chime/engine/ticking_itimer.hpp>
#include <chime/itimer_kind.hpp>
#include <chime/user/kept.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <type_traits>

namespace chime::user {

template <itimer_kind Which>
struct itimer_kind_of {
  using clock_type = itimer_clock<Which>;
  using model_type = std::conditional_t<Which == itimer_kind::real, engine::real_itimer_model,
                                        engine::ticking_itimer>;

  /// I1: one of a kind, in the process or in the virtual one.
  class permit {
   public:
    permit(service& host, error_code& ec) : host_{host.virtual_clocks() ? &host : nullptr} {
      has_ = host_ ? host_->claim(bit) : !in_process().exchange(true);
      ec = has_ ? error_code{} : error::from_errno(EBUSY);
    }
    permit(const permit&) = delete;
    permit& operator=(const permit&) = delete;
    ~permit() {
      if (!has_) return;
      if (host_)
        host_->unclaim(bit);
      else
        in_process() = false;
    }

   private:
    static constexpr auto bit = static_cast<unsigned>(Which);
    static std::atomic<bool>& in_process() noexcept {
      static std::atomic<bool> taken = false;
      return taken;
    }

    service* host_;
    bool has_;
  };

  static model_type make() noexcept {
    if constexpr (Which == itimer_kind::real)
      return {};
    else
      return model_type{line_for(reference::relative)};
  }
  static engine::base line_for(reference from) noexcept {
    return engine::base_of(clock_type::kind, from);
  }

  static engine::set_result set(model_type& m, const engine::new_setting& wanted,
                                engine::set_time now) noexcept {
    // setitimer has relative times only, in microseconds: W6 rounds them up.
    if (wanted.is_absolute() || !rules::is_valid(wanted.value, wanted.interval))
      return {engine::status::invalid, {}};
    return m.settime({whole_micros(wanted.value), whole_micros(wanted.interval)}, now.here);
  }
  static taken take(model_type& m, nanoseconds now) noexcept {
    if (!m.pending()) return {engine::status::again};
    const engine::itimer_acceptance got = m.accept(now);
    return {engine::status::ok, got.expirations, got.scheduled};
  }
  static bool is_ready(const model_type& m) noexcept { return m.pending(); }

  static bool wants_clock(const setting<clock_type>&) noexcept { return false; }
  static bool clock_was_set(model_type&) noexcept { return false; }
  static bool survives_fork(model_type& m) noexcept {
    m = make();  // I7: the child's are off
    return true;
  }

 private:
  static nanoseconds whole_micros(nanoseconds d) noexcept {
    using std::chrono::microseconds;
    constexpr nanoseconds last = std::chrono::floor<microseconds>(rules::never);
    return d > last ? last : std::chrono::ceil<microseconds>(d);
  }
};

/// An interval timer of the process, kept by the engine: rules I. Its signal is the wait's
/// completion, accepted when the expirations are taken; what the kernel would not report is counted
/// (I4).
///
/// Settings are relative and in microseconds, rounded up; an absolute one is EINVAL. One of each
/// kind at a time: to open a second fails with EBUSY. After a fork the child's is disarmed.
template <itimer_kind Kind>
using itimer = kept<itimer_kind_of<Kind>>;

}  // namespace chime::user
