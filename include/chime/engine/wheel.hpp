// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The timer wheel: armed timers in the order of their deadlines.
///
/// A hierarchical radix wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987,
/// scheme 7) with deadlines kept exactly. Read as a number of base 64, a deadline belongs to the
/// level of the highest digit in which it differs from the wheel's base, and there to the slot of
/// that digit:
///
///     level   a slot spans   the level reaches      level   a slot spans   the level reaches
///       0         1 ns            64 ns               6        68.7 s          73.3 min
///       1        64 ns           4.1 us               7       73.3 min         78.2 h
///       2       4.1 us           262 us               8        78.2 h           208 d
///       3       262 us          16.8 ms               9         208 d          36.6 a
///       4      16.8 ms           1.07 s              10        36.6 a           585 a
///       5       1.07 s           68.7 s
///
/// So all of a level is earlier than all of the levels above it, the slots of a level stand in the
/// order of time, and two words of bits find the first one. When that slot comes due, the base
/// moves to its earliest deadline: the nodes with exactly that deadline are ready, the others fall
/// to lower levels.
///
///     base                          what is at or before it: ready, by (deadline, order armed)
///     --+-----+-----+-----+----------------+----------------+------> time
///       | level 0   | level 1 ...          | level 2 ...
///
/// The base follows the deadlines that were due, so it is never ahead of the time last seen; when
/// the clock is set back, so is the base.

#include <chime/engine/wheel_ahead.hpp>
#include <chime/engine/wheel_node.hpp>
#include <chime/engine/wheel_ready.hpp>
#include <chime/engine/wheel_slots.hpp>
#include <chime/rules.hpp>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

namespace chime::engine {

/// Armed timers in the exact order of (deadline, order armed): E1, E6.
///
/// No clock, no lock, no callback: time is an argument. Between any two calls every timer may be
/// armed, re-armed or disarmed.
///
/// Arming, disarming and re-arming take constant time and allocate nothing, but for one table of
/// about 110 kB when the wheel first outgrows its caches (`lanes_from`). Popping takes amortised
/// constant time, as a node falls through a level at most once; or logarithmic, of timers that are
/// armed overdue while others are due (see wheel_late). A single pop may have to empty a slot first;
/// if that is big, and pops came in the time before, those have done most of it (see
/// wheel_ahead: another such table for each level where that happens). One whose timers all have one
/// deadline is taken over as it is, unless another timer comes in, or any is put off, at the last
/// moment: then that pop does it all. A timer that is put off stays in its slot until that comes up:
/// only its node is written.
class wheel {
 public:
  /// Past this many timers the slots, and what is due, get lanes (see wheel_slots), for good. Below
  /// it the nodes are in the processor's caches, and one lane is the fastest. Measured with
  /// tests/bench/peers.
  static constexpr std::size_t default_lanes_from = 8'000;

  /// A slot with lanes that has had this many timers is emptied before its time (see wheel_ahead).
  /// Fewer are no pause worth the trouble. (A 32nd of it is worth being taken over.)
  static constexpr std::uint32_t default_big_slot = 2'000;

  constexpr explicit wheel(std::size_t lanes_from = default_lanes_from,
                           std::uint32_t big_slot = default_big_slot) noexcept
      : lanes_from_{lanes_from}, big_slot_{big_slot} {}
  wheel(const wheel&) = delete;
  wheel& operator=(const wheel&) = delete;

  /// Disarms every timer that is still armed.
  constexpr ~wheel() {
    clear();
    delete wide_;
  }

  /// Arms a timer, or re-arms it, whatever its deadline; it then stands behind those armed earlier
  /// with an equal one. A deadline in the past is due at once, `rules::never` never.
  /// \pre if the node is armed, then in this wheel
  constexpr void arm(wheel_node& n, nanoseconds deadline) noexcept {
    arm(n, deadline, next_sequence_++);
  }

  /// The same for one of several wheels that are one line together: `sequence` counts the arms of all of them,
  /// and says where the timer stands among equals.
  constexpr void arm(wheel_node& n, nanoseconds deadline, std::uint64_t sequence) noexcept;

  /// Disarms a timer; false if it was not armed. \pre if the node is armed, then in this wheel
  constexpr bool disarm(wheel_node& n) noexcept;

  /// Disarms every timer.
  constexpr void clear() noexcept;

  /// Takes out the first timer whose deadline is at or before `now`, disarmed; null if there is
  /// none. If `now` is before an earlier call's, the clock was set back, and timers wait for it to
  /// come round.
  constexpr wheel_node* pop_due(nanoseconds now) noexcept;

  /// The one that `pop_due` would take out, left where it is.
  constexpr wheel_node* first_due(nanoseconds now) noexcept;

  /// The earliest deadline, exactly; `rules::never` if none will ever come. Takes constant time,
  /// except after the earliest timer was disarmed or put off: then its slot is searched, once.
  [[nodiscard]] constexpr nanoseconds next_deadline() noexcept;

  /// A time to look again, in constant time: never after `next_deadline()`, and before it only
  /// where that would have to search. To sleep until then costs a needless wake-up at worst, not a
  /// late one.
  [[nodiscard]] constexpr nanoseconds next_wakeup() noexcept;

  /// The same, but exact where enough timers were armed or have left since the last search to pay for
  /// the next: in amortised constant time. Where there are few it is always exact.
  /// \pre the wheel counts its arms itself
  [[nodiscard]] constexpr nanoseconds next_wakeup_sought() noexcept;

  /// How many timers are armed, those that never fire included.
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }

 private:
  friend struct wheel_check;

  static constexpr std::size_t lane_count = 8;  // 4 are slower to expire, 16 no faster

  struct narrow_slots : wheel_slots<1> {
    wheel_ready<1> ready;  // deadline <= base_
  };

  /// What takes the place of `slots_` when the wheel is large.
  struct wide_slots : wheel_slots<lane_count> {
    explicit wide_slots(std::uint32_t big_slot) noexcept : ahead{big_slot} {}
    wheel_ready<lane_count> ready;
    wheel_ahead<lane_count> ahead;
  };

  /// Calls `f` with the slots in use: instantiated for each kind, so that neither pays for the
  /// other.
  template <typename Function>
  constexpr auto with_slots(Function f) noexcept {
    return wide_ == nullptr ? f(slots_) : f(*wide_);
  }

  template <typename Slots>
  constexpr void file(Slots& slots, wheel_node& n) noexcept;
  template <typename Slots>
  constexpr void refile(Slots& slots, slot_position at) noexcept;
  template <typename Slots>
  constexpr wheel_node* first_due(Slots& slots, wheel_key now) noexcept;
  template <typename Slots>
  constexpr void enter(Slots& slots, slot_position first) noexcept;
  template <typename Slots>
  constexpr void rewind(Slots& slots, wheel_key now) noexcept;
  constexpr void unlink(wheel_node& n) noexcept;
  void widen() noexcept;

  wheel_key base_ = 0;               // no node in the slots is at or before it
  std::uint64_t next_sequence_ = 0;  // orders equal deadlines
  std::uint64_t sought_at_ = 0;      // the sequence when a search was last paid for,
  std::size_t sought_in_ = 0;        // and the size
  std::size_t size_ = 0;
  std::size_t lanes_from_;
  std::uint32_t big_slot_;
  wheel_list dormant_;  // deadline == never; but some put off to never are still in the slots
  narrow_slots slots_;
  wide_slots* wide_ = nullptr;  // owned
};

/// Puts a node where it belongs.
template <typename Slots>
constexpr void wheel::file(Slots& slots, wheel_node& n) noexcept {
  if (n.key_ <= base_) {
    slots.ready.push_back(n);
  } else if (n.key_ == never_key) {
    dormant_.push_back(n);
  } else {
    slots.insert(n, base_);
  }
}

/// Files the nodes of a slot anew; its earliest deadline is exact then.
template <typename Slots>
constexpr void wheel::refile(Slots& slots, slot_position at) noexcept {
  slots.drain(at, [&](wheel_node& n) { file(slots, n); });
}

/// Takes a node out of wherever it stands.
constexpr void wheel::unlink(wheel_node& n) noexcept {
  if (n.key_ > base_) [[likely]]
    return n.unlink();
  if (wide_ == nullptr)
    slots_.ready.remove(n);
  else
    wide_->ready.remove(n);
}

/// Goes over to slots with lanes, if there is memory for them.
inline void wheel::widen() noexcept {
  auto* wide = new (std::nothrow) wide_slots{big_slot_};
  if (wide == nullptr) return;
  // Not inserted but filed: nodes that were put off, even to never, are among them.
  const auto refile_wide = [&](wheel_node& n) { file(*wide, n); };
  slots_.ready.drain(refile_wide);
  slots_.drain_all(refile_wide);
  wide_ = wide;
}

constexpr void wheel::arm(wheel_node& n, nanoseconds deadline, std::uint64_t sequence) noexcept {
  const wheel_key key = key_of(deadline);
  // Put off: its slot is no later than its new place, so it comes up in time to be filed anew.
  const bool stays = n.is_armed() && n.key_ > base_ && key >= n.key_;
  if (!n.is_armed()) {
    ++size_;
  } else if (!stays) {
    unlink(n);
  } else if (wide_ != nullptr) {
    wide_->one_is_put_off();
  }
  n.key_ = key;
  n.sequence_ = sequence;
  if (stays) return;
  if (size_ > lanes_from_ && wide_ == nullptr && !std::is_constant_evaluated()) widen();
  with_slots([&](auto& slots) { file(slots, n); });
}

constexpr bool wheel::disarm(wheel_node& n) noexcept {
  if (!n.is_armed()) return false;
  unlink(n);
  --size_;
  return true;
}

constexpr void wheel::clear() noexcept {
  const auto disarm_all = [](wheel_list& nodes) {
    wheel_node* chain = nodes.take_all();
    while (chain != nullptr) chain = wheel_list::leave(*chain);
  };
  disarm_all(dormant_);
  slots_.for_each_list(disarm_all);
  slots_.ready.clear(disarm_all);
  if (wide_ != nullptr) {
    wide_->for_each_list(disarm_all);
    wide_->ready.clear(disarm_all);
    wide_->ahead.for_each_list(disarm_all);
  }
  size_ = 0;
}

/// Moves the base back to `now`: what was ready need not be due any more.
template <typename Slots>
constexpr void wheel::rewind(Slots& slots, wheel_key now) noexcept {
  if constexpr (Slots::has_lanes) slots.ahead.give_back_all(slots);
  slots.collapse(position_of(base_, now));
  base_ = now;
  slots.ready.drain([&](wheel_node& n) { file(slots, n); });
}

/// Moves the base into the first slot, which is due.
template <typename Slots>
constexpr void wheel::enter(Slots& slots, slot_position first) noexcept {
  base_ = slots.earliest(first);  // nothing that is left is earlier
  if constexpr (Slots::has_lanes) {
    // (Few are emptied as fast.)
    if (slots.filed(first) >= big_slot_ / 32 && slots.is_uniform(first))
      return slots.hand_over(first, [&](auto& lanes) { slots.ready.adopt(lanes); });
    slots.ahead.enter(slots, first, base_);
  }
  refile(slots, first);
}

template <typename Slots>
constexpr wheel_node* wheel::first_due(Slots& slots, wheel_key now) noexcept {
  if (now < base_) rewind(slots, now);
  if constexpr (Slots::has_lanes) {
    slots.ahead.step(slots, now, [&](wheel_node& n) { file(slots, n); });
  }
  for (;;) {
    if (wheel_node* n = slots.ready.front()) return n;
    slot_position first{};
    if (!slots.first(first)) {
      if (now < never_key) base_ = now;  // what is armed next lies near it
      return nullptr;
    }
    if (slots.earliest(first) > now) return nullptr;
    enter(slots, first);
  }
}

constexpr wheel_node* wheel::first_due(nanoseconds now) noexcept {
  return with_slots([&](auto& slots) { return first_due(slots, key_of(now)); });
}

constexpr wheel_node* wheel::pop_due(nanoseconds now) noexcept {
  return with_slots([&](auto& slots) {
    wheel_node* const n = first_due(slots, key_of(now));
    if (n != nullptr) {
      slots.ready.remove(*n);
      --size_;
    }
    return n;
  });
}

constexpr nanoseconds wheel::next_deadline() noexcept {
  return with_slots([&](auto& slots) {
    if (const wheel_node* n = slots.ready.front()) return n->deadline();
    for (slot_position first{}; slots.first(first); refile(slots, first)) {
      if (slots.is_exact(first)) return deadline_of(slots.earliest(first));
      if constexpr (std::remove_reference_t<decltype(slots)>::has_lanes) {
        slots.ahead.give_back(slots, first);
      }
    }
    return rules::never;
  });
}

constexpr nanoseconds wheel::next_wakeup() noexcept {
  return with_slots([](auto& slots) {
    if (const wheel_node* n = slots.ready.front()) return n->deadline();
    slot_position first{};
    return slots.first(first) ? deadline_of(slots.earliest(first)) : rules::never;
  });
}

constexpr nanoseconds wheel::next_wakeup_sought() noexcept {
  return with_slots([&](auto& slots) {
    slot_position first{};
    if (slots.ready.front() == nullptr && slots.first(first) && !slots.is_exact(first)) {
      const std::uint64_t armed = next_sequence_ - sought_at_;
      const std::uint64_t left = sought_in_ + armed - size_;  // or were armed anew
      if (size_ > 64 + 16 * (armed + left)) return deadline_of(slots.earliest(first));
      sought_at_ = next_sequence_;
      sought_in_ = size_;
    }
    return next_deadline();
  });
}

}  // namespace chime::engine
