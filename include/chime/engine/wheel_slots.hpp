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
#include <type_traits>

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
/// side. A slot marked as occupied may be empty: `first()` clears such marks as it meets them. And
/// `earliest` of a slot may be lower than any deadline in it, but never higher; it is exact while a
/// node with that deadline stands at the front, where `insert` puts each new earliest one.
///
/// Where all nodes of a slot were filed with one deadline, in the order in which they leave, and none
/// was put off since, each lane is in that order too: the slot is *uniform*, and when it comes due,
/// its lanes can be taken over as they are.
template <std::size_t Lanes>
class wheel_slots {
 public:
  static constexpr bool has_lanes = Lanes > 1;

  constexpr wheel_slots() noexcept = default;
  wheel_slots(const wheel_slots&) = delete;
  wheel_slots& operator=(const wheel_slots&) = delete;

  /// Files a node. \pre its key > base
  // (Inlined by force: a node is filed anew at each level, and a call is a tenth of an expiration.)
  [[gnu::always_inline]] constexpr void insert(wheel_node& n, wheel_key base) noexcept {
    assert(n.key_ > base);
    const auto [level, slot] = position_of(n.key_, base);
    row& r = rows_[level];
    if constexpr (has_lanes) count(r.heads[slot], r.slots[slot], n);
    if (!r.is_occupied(slot) || n.key_ < r.heads[slot].earliest) {
      mark({level, slot}, n.key_);
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
      if (!rows_[level].slots[slot].empty() || is_pinned(where)) return true;
      vacate(where);
    }
    return false;
  }

  /// No deadline in the slot lies before this one. \pre the slot is occupied
  [[nodiscard]] constexpr wheel_key earliest(slot_position at) const noexcept {
    return rows_[at.level].heads[at.slot].earliest;
  }

  /// Whether `earliest` is known to be the deadline of a node in the slot, and not only a bound.
  [[nodiscard]] constexpr bool is_exact(slot_position at) const noexcept {
    const wheel_list& lane = rows_[at.level].slots[at.slot].lanes[0];
    return !lane.empty() && lane.front().key_ == earliest(at);
  }

  /// Whether all its nodes have the deadline `earliest`, and each lane is in the order in which they
  /// leave. False where that is not known. \pre the slot is occupied
  [[nodiscard]] constexpr bool is_uniform(slot_position at) const noexcept {
    const head& h = rows_[at.level].heads[at.slot];
    return !h.is_mixed && h.put_off_before == put_off_;
  }

  /// Some node, wherever it is, has another deadline from now on, in the place that it has.
  constexpr void one_is_put_off() noexcept { ++put_off_; }

  /// Hands over the lanes of a uniform slot and leaves it empty.
  template <typename Function>
  constexpr void hand_over(slot_position at, Function take) noexcept {
    take(rows_[at.level].slots[at.slot].lanes);
    vacate(at);
  }

  /// How many nodes were filed in the slot since it was empty: no fewer than are in it.
  [[nodiscard]] constexpr std::uint64_t filed(slot_position at) const noexcept {
    return rows_[at.level].heads[at.slot].filed;
  }

  /// Calls `f` with the slot that comes next in each level.
  template <typename Function>
  constexpr void for_each_next(Function f) const noexcept {
    for (auto levels = occupied_levels_; levels != 0; levels &= levels - 1) {
      const auto level = static_cast<unsigned>(std::countr_zero(levels));
      f(slot_position{level, static_cast<unsigned>(std::countr_zero(rows_[level].occupied))});
    }
  }

  /// How much time a slot of this level spans.
  [[nodiscard]] static constexpr wheel_key span_of(unsigned level) noexcept {
    return wheel_key{1} << (level * level_bits);
  }

  /// Takes a node out of one lane of a slot, or null. The one that makes `earliest` exact stays.
  [[nodiscard]] constexpr wheel_node* take(slot_position at, std::size_t lane) noexcept {
    wheel_list& nodes = rows_[at.level].slots[at.slot].lanes[lane];
    if (nodes.empty()) return nullptr;
    wheel_node* n = &nodes.front();
    if (lane == 0 && n->key_ == earliest(at)) n = nodes.after(*n);
    if (n == nullptr) return nullptr;
    prefetch(n->next);  // the next to be taken
    n->unlink();
    return n;
  }

  /// A slot that is not to be forgotten when it is empty, until it is unpinned. One in each level.
  constexpr void pin(slot_position at) noexcept { rows_[at.level].pinned = at.slot; }
  constexpr void unpin(slot_position at) noexcept { rows_[at.level].pinned = slots_per_level; }
  [[nodiscard]] constexpr bool is_pinned(slot_position at) const noexcept {
    return rows_[at.level].pinned == at.slot;
  }

  /// Empties a slot, handing each of its nodes to `file`, which may insert it anew.
  template <typename Function>
  constexpr void drain(slot_position at, Function file) noexcept {
    vacate(at);
    lane_set& slot = rows_[at.level].slots[at.slot];
    if constexpr (!has_lanes) {
      wheel_node* chain = slot.lanes[0].take_all();
      while (chain != nullptr) {
        wheel_node& n = *chain;
        chain = wheel_list::next_in(n);
        file(n);
      }
    } else {
      wheel_node* chains[Lanes];
      unsigned lanes = 0;  // one bit a lane that has nodes left
      for (std::size_t i = 0; i != Lanes; ++i) {
        chains[i] = slot.lanes[i].take_all();
        if (chains[i] != nullptr) lanes |= 1U << i;
      }
      const auto file_one_of = [&](std::size_t lane) {
        wheel_node& n = *chains[lane];
        chains[lane] = wheel_list::next_in(n);
        if (chains[lane] == nullptr) lanes &= ~(1U << lane);
        prefetch(chains[lane]);  // needed again a round later
        file(n);
      };
      // Around the lanes in the order in which the nodes were dealt, so that equal deadlines come
      // out sorted: first whatever was put at the front, then from the lane of the one after it.
      std::size_t begin = 0;
      if (chains[0] != nullptr) {
        begin = (chains[0]->sequence_ + 1) % Lanes;
        file_one_of(0);
      }
      while (lanes != 0) {
        for (unsigned later = lanes >> begin << begin; later != 0; later &= later - 1)
          file_one_of(static_cast<std::size_t>(std::countr_zero(later)));
        for (unsigned before = lanes & ((1U << begin) - 1); before != 0; before &= before - 1)
          file_one_of(static_cast<std::size_t>(std::countr_zero(before)));
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
    assert(!rows_[into.level].is_occupied(into.slot));
    gather(*this, into);
  }

  /// The same with what other slots hold below `into.level`.
  constexpr void gather(wheel_slots& from, slot_position into) noexcept {
    row& target = rows_[into.level];
    from.for_each_occupied(into.level, [&](slot_position at) {
      row& r = from.rows_[at.level];
      // The first that is met is the first in time: its bound holds for all.
      if (!target.is_occupied(into.slot)) mark(into, r.heads[at.slot].earliest);
      move_nodes(r, at.slot, target, into.slot);
      from.vacate(at);
    });
  }

  /// Takes over all that other slots hold, each to its own place. \pre that is free here
  constexpr void adopt(wheel_slots& from) noexcept {
    from.for_each_occupied(level_count, [&](slot_position at) {
      row& r = from.rows_[at.level];
      assert(!rows_[at.level].is_occupied(at.slot));
      mark(at, r.heads[at.slot].earliest);
      move_nodes(r, at.slot, rows_[at.level], at.slot);
      from.vacate(at);
    });
  }

 private:
  friend struct wheel_check;

  static constexpr std::uint64_t bit(unsigned slot) noexcept { return std::uint64_t{1} << slot; }

  struct plain_head {
    wheel_key earliest = 0;  // while the slot is occupied
  };
  // (Aligned, for its address to be found by a shift: 5 % of an expiration.)
  struct alignas(32) lanes_head : plain_head {
    std::uint64_t put_off_before = 0;  // how many were, anywhere, when the first node was filed
    std::uint64_t filed = 0;           // since the slot was empty
    bool is_mixed = false;             // not all with one deadline, or not in order
  };

  /// What is known of a slot.
  using head = std::conditional_t<has_lanes, lanes_head, plain_head>;

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
      return (occupied & bit(slot)) != 0;
    }

    std::uint64_t occupied = 0;         // one bit a slot
    unsigned pinned = slots_per_level;  // none
    std::array<head, slots_per_level> heads;
    std::array<lane_set, slots_per_level> slots;
  };

  /// A node is to be put in a slot.
  constexpr void count(head& h, const lane_set& nodes, const wheel_node& n) noexcept {
    if (h.filed++ == 0) {
      h.is_mixed = false;
      h.put_off_before = put_off_;
    } else if (n.key_ != h.earliest) {
      h.is_mixed = true;
    } else if (const wheel_list& lane = nodes.lanes[n.sequence_ % Lanes];
               !lane.empty() && n.precedes(lane.back())) {
      h.is_mixed = true;
    }
  }

  /// Marks a slot as empty.
  constexpr void vacate(slot_position at) noexcept {
    row& r = rows_[at.level];
    r.occupied &= ~bit(at.slot);
    if (r.occupied == 0) occupied_levels_ &= ~(1U << at.level);
    if constexpr (has_lanes) r.heads[at.slot].filed = 0;
  }

  /// Marks a slot as occupied by what is not before `earliest`.
  constexpr void mark(slot_position at, wheel_key earliest) noexcept {
    occupied_levels_ |= 1U << at.level;
    rows_[at.level].occupied |= bit(at.slot);
    rows_[at.level].heads[at.slot].earliest = earliest;
  }

  /// Calls `f` with each occupied slot below a level, in the order of time. `f` may vacate it.
  template <typename Function>
  constexpr void for_each_occupied(unsigned below, Function f) noexcept {
    for (unsigned level = 0; level != below; ++level) {
      for (auto slots = rows_[level].occupied; slots != 0; slots &= slots - 1)
        f(slot_position{level, static_cast<unsigned>(std::countr_zero(slots))});
    }
  }

  static constexpr void move_nodes(row& from, unsigned slot, row& to, unsigned into) noexcept {
    for (std::size_t i = 0; i != Lanes; ++i)
      to.slots[into].lanes[i].append(from.slots[slot].lanes[i]);
    if constexpr (has_lanes) {
      to.heads[into].filed += from.heads[slot].filed;
      to.heads[into].is_mixed = true;
    }
  }

  std::uint32_t occupied_levels_ = 0;  // one bit a level
  std::uint64_t put_off_ = 0;          // how many were
  std::array<row, level_count> rows_;
};

}  // namespace chime::engine
