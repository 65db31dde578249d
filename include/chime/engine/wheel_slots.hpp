// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The slots of the wheel: levels of 64, told apart by the highest digit in which a deadline
/// differs from the wheel's base. See wheel.hpp.

#include <array>
#include <bit>
#include <cassert>
#include <chime/engine/wheel_node.hpp>
#include <cstddef>
#include <cstdint>

namespace chime::engine {

/// The one knob: how many bits of a deadline a level tells apart. One word of 64 bits then says
/// which of a level's slots are occupied.
inline constexpr unsigned level_bits = 6;
inline constexpr unsigned slots_per_level = 1U << level_bits;
inline constexpr unsigned level_count = (64 + level_bits - 1) / level_bits;

/// Where in the slots a key belongs.
struct slot_position {
  unsigned level;
  unsigned slot;

  friend constexpr bool operator==(const slot_position&, const slot_position&) = default;
};

/// The digit of `key` that chooses its slot in `level`.
constexpr unsigned digit_of(wheel_key key, unsigned level) noexcept {
  return static_cast<unsigned>(key >> (level * level_bits)) % slots_per_level;
}

/// The place of `key` in slots whose base is `base`: the level of the highest digit in which they
/// differ. \pre key != base
constexpr slot_position position_of(wheel_key key, wheel_key base) noexcept {
  const auto highest = 63U - static_cast<unsigned>(std::countl_zero(key ^ base));
  const unsigned level = highest / level_bits;
  return {level, digit_of(key, level)};
}

/// Asks for memory that will be needed soon. Null is no harm.
inline void prefetch([[maybe_unused]] const void* p) noexcept {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(p);
#endif
}

/// The slots of a wheel, each a list of nodes in no particular order: the sequence numbers say who
/// leaves first among equals.
///
/// A list is walked one cache miss at a time. So a slot may be several lists, its *lanes*, over
/// which the nodes are dealt: emptying it walks them in turn, and waits for their misses together.
///
/// Disarming unlinks a node and tells nobody, so two things are kept loosely, always on the safe
/// side:
///   - a slot marked as occupied may be empty: `first()` clears such marks as it meets them;
///   - `earliest` of a slot may be lower than any deadline in it, but never higher. It is exact while a
///     node with that deadline stands at the front, where `insert` puts each new earliest one.
template <std::size_t Lanes>
class wheel_slots {
 public:
  constexpr wheel_slots() noexcept = default;
  wheel_slots(const wheel_slots&) = delete;
  wheel_slots& operator=(const wheel_slots&) = delete;

  /// Files a node. \pre its key > base
  constexpr void insert(wheel_node& n, wheel_key base) noexcept {
    assert(n.key_ > base);
    const auto [level, slot] = position_of(n.key_, base);
    row& r = rows_[level];
    if (!r.is_occupied(slot) || n.key_ < r.earliest[slot]) {
      occupied_levels_ |= 1U << level;
      r.occupied |= std::uint64_t{1} << slot;
      r.earliest[slot] = n.key_;
      r.slots[slot].lanes[0].push_front(n);
    } else {
      r.slots[slot].lanes[n.sequence_ % Lanes].push_back(n);
    }
  }

  /// Whether any slot holds a node; if so `where` becomes the slot that comes first in time.
  [[nodiscard]] constexpr bool first(slot_position& where) noexcept {
    while (occupied_levels_ != 0) {
      const auto level = static_cast<unsigned>(std::countr_zero(occupied_levels_));
      const auto slot = static_cast<unsigned>(std::countr_zero(rows_[level].occupied));
      where = {level, slot};
      if (!rows_[level].slots[slot].empty()) return true;
      vacate(where);
    }
    return false;
  }

  /// No deadline in the slot lies before this one. \pre the slot is occupied
  [[nodiscard]] constexpr wheel_key earliest(slot_position at) const noexcept {
    return rows_[at.level].earliest[at.slot];
  }

  /// Whether `earliest` is known to be the deadline of a node in the slot, and not only a bound.
  [[nodiscard]] constexpr bool is_exact(slot_position at) const noexcept {
    const wheel_list& lane = rows_[at.level].slots[at.slot].lanes[0];
    return !lane.empty() && lane.front().key_ == earliest(at);
  }

  /// Empties a slot, handing each of its nodes to `file`, which may insert it anew.
  template <typename Function>
  constexpr void drain(slot_position at, Function file) noexcept {
    vacate(at);
    wheel_node* chains[Lanes];
    for (std::size_t i = 0; i != Lanes; ++i) {
      chains[i] = rows_[at.level].slots[at.slot].lanes[i].take_all();
    }
    for (bool more = true; more;) {
      more = false;
      for (wheel_node*& chain : chains) {
        if (chain == nullptr) continue;
        wheel_node& n = *chain;
        chain = wheel_list::next_in(n);
        if constexpr (Lanes > 1) prefetch(chain);  // needed again a round later
        file(n);
        more = true;
      }
    }
  }

  /// Empties every slot in the same way. `file` must not insert here.
  template <typename Function>
  constexpr void drain_all(Function file) noexcept {
    for (slot_position at{}; first(at);) drain(at, file);
  }

  /// Calls `f` with every list of every slot.
  template <typename Function>
  constexpr void for_each_list(Function f) noexcept {
    for (row& r : rows_) {
      for (lane_set& slot : r.slots) {
        for (wheel_list& lane : slot.lanes) f(lane);
      }
    }
  }

  /// Moves everything below `into.level` to that one slot: there it belongs once the base has gone
  /// back to before the slot. Costs the same whatever the slots hold.
  constexpr void collapse(slot_position into) noexcept {
    row& target = rows_[into.level];
    assert(!target.is_occupied(into.slot));
    for (unsigned level = 0; level != into.level; ++level) {
      row& r = rows_[level];
      while (r.occupied != 0) {
        const auto slot = static_cast<unsigned>(std::countr_zero(r.occupied));
        if (!target.is_occupied(into.slot)) {
          // The first that is met is the first in time: its bound holds for all.
          occupied_levels_ |= 1U << into.level;
          target.occupied |= std::uint64_t{1} << into.slot;
          target.earliest[into.slot] = r.earliest[slot];
        }
        for (std::size_t i = 0; i != Lanes; ++i) {
          target.slots[into.slot].lanes[i].append(r.slots[slot].lanes[i]);
        }
        vacate({level, slot});
      }
    }
  }

 private:
  friend struct wheel_check;

  struct lane_set {
    std::array<wheel_list, Lanes> lanes;

    [[nodiscard]] constexpr bool empty() const noexcept {
      for (const wheel_list& lane : lanes) {
        if (!lane.empty()) return false;
      }
      return true;
    }
  };

  struct row {
    [[nodiscard]] constexpr bool is_occupied(unsigned slot) const noexcept {
      return (occupied >> slot & 1) != 0;
    }

    std::uint64_t occupied = 0;                         // one bit a slot
    std::array<wheel_key, slots_per_level> earliest{};  // of occupied slots
    std::array<lane_set, slots_per_level> slots;
  };

  /// Marks a slot as empty.
  constexpr void vacate(slot_position at) noexcept {
    row& r = rows_[at.level];
    r.occupied &= ~(std::uint64_t{1} << at.slot);
    if (r.occupied == 0) occupied_levels_ &= ~(1U << at.level);
  }

  std::uint32_t occupied_levels_ = 0;  // one bit a level
  std::array<row, level_count> rows_;
};

}  // namespace chime::engine
