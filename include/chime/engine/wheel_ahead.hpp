// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Bounds the wheel's pauses: big slots are split before their time. See wheel.hpp.

#include <array>
#include <bit>
#include <chime/engine/wheel_node.hpp>
#include <chime/engine/wheel_slots.hpp>
#include <cstddef>
#include <cstdint>
#include <new>

namespace chime::engine {

/// When a slot comes due, all its nodes fall to lower levels: a hundred thousand of them in one go
/// are a pause of milliseconds. So a big slot is split while its time comes near, a few nodes at
/// each pop, into slots that stand aside:
///
///     the wheel's slots     level 4 ...        level 5:  .. base ..|.. S ..|........
///     standing aside                        levels 0 to 4 within S: [][][]
///
/// When S comes due, the levels below it are empty, and what stands aside takes their place: a
/// matter of splicing lists. In each level the slot that comes next may be split in this way.
template <std::size_t Lanes>
class wheel_ahead {
 public:
  using slots = wheel_slots<Lanes>;

  /// \param big how many nodes a slot must have had to be worth the trouble
  explicit wheel_ahead(std::uint32_t big) noexcept : big_{big} {}
  wheel_ahead(const wheel_ahead&) = delete;
  wheel_ahead& operator=(const wheel_ahead&) = delete;
  ~wheel_ahead() {
    for (split* s : splits_) delete s;
  }

  /// Splits a few nodes. Those that were put off, beyond their slot or for good, go to `file`.
  template <typename Function>
  void step(slots& main, wheel_key now, Function file) noexcept {
    if (steps_++ % steps_to_choose == 0) choose(main, now);
    for_each_split([&](split& s) {
      if (main.filed(s.at) < s.idle_until) return;
      bool found = false;
      for (std::size_t lane = 0; lane != Lanes; ++lane) {
        wheel_node* const n = main.take(s.at, lane);
        if (n == nullptr) continue;
        found = true;
        if (n->key_ == never_key || !s.holds(n->key_)) {
          file(*n);
        } else if (n->key_ > s.base || s.rebase(n->key_)) {
          s.aside.insert(*n, s.base);
        } else {
          file(*n);
          give_back(main, s);
          return;
        }
      }
      if (!found) s.idle_until = main.filed(s.at) + big_ / 16;  // until more have come
    });
  }

  /// If the slot, which is due, has been split: has what stands aside take its place below, as seen
  /// from `base`. What is left in the slot is the caller's to file anew.
  void enter(slots& main, slot_position at, wheel_key& base) noexcept {
    if (!main.is_pinned(at)) return;
    split& s = *splits_[at.level];
    if (base <= s.base && !s.rebase(base)) return give_back(main, s);
    end(main, s);
    main.adopt(s.aside);
    base = s.base;
  }

  /// Gives back what stands aside, so that the slot is as any other.
  void give_back(slots& main, slot_position at) noexcept {
    if (main.is_pinned(at)) give_back(main, *splits_[at.level]);
  }
  void give_back_all(slots& main) noexcept {
    for_each_split([&](split& s) { give_back(main, s); });
  }

  template <typename Function>
  void for_each_list(Function f) noexcept {
    for_each_split([&](split& s) { s.aside.for_each_list(f); });
  }

 private:
  friend struct wheel_check;

  /// A slot, and what of it has been split.
  struct split {
    /// Whether a key belongs to the slot.
    [[nodiscard]] bool holds(wheel_key key) const noexcept {
      return (key ^ base) >> (at.level * level_bits) == 0;
    }

    /// Makes room for an earlier key. False if that is the very first of the slot: there is nothing
    /// before it that a base could be.
    bool rebase(wheel_key earlier) noexcept {
      if (!holds(earlier - 1)) return false;
      aside.collapse(position_of(base, earlier - 1));
      base = earlier - 1;
      return true;
    }

    slot_position at{};
    wheel_key base = 0;  // within the slot, and before all that stands aside
    std::uint64_t idle_until = 0;
    slots aside;
  };

  /// Begins to split the slots that come next, where they are big and their time is near.
  void choose(slots& main, wheel_key now) noexcept {
    main.for_each_next([&](slot_position at) {
      if ((levels_ >> at.level & 1) != 0 || main.filed(at) < big_ || main.is_uniform(at)) return;
      const wheel_key earliest = main.earliest(at);
      if (earliest <= now || earliest - now > slots::span_of(at.level) / 4) return;
      split*& s = splits_[at.level];
      if (s == nullptr) s = new (std::nothrow) split;
      if (s == nullptr) return;
      s->at = at;
      s->base = earliest - 1;
      if (!s->holds(earliest)) return;  // the first instant of the slot: no base before it
      s->idle_until = 0;
      main.pin(at);
      levels_ |= 1U << at.level;
    });
  }

  template <typename Function>
  void for_each_split(Function f) noexcept {
    for (auto levels = levels_; levels != 0; levels &= levels - 1) {
      f(*splits_[static_cast<unsigned>(std::countr_zero(levels))]);
    }
  }

  void give_back(slots& main, split& s) noexcept {
    end(main, s);
    main.gather(s.aside, s.at);
  }

  void end(slots& main, const split& s) noexcept {
    main.unpin(s.at);
    levels_ &= ~(1U << s.at.level);
  }

  static constexpr std::uint32_t steps_to_choose = 16;  // to look costs as much as a pop

  std::uint32_t big_;
  std::uint32_t steps_ = 0;
  std::uint32_t levels_ = 0;                     // in which a slot is being split
  std::array<split*, level_count> splits_ = {};  // owned; made when first needed
};

}  // namespace chime::engine
