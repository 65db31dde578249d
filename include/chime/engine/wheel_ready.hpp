// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The nodes of the wheel that are due. See wheel.hpp.

#include <array>
#include <cassert>
#include <chime/engine/wheel_late.hpp>
#include <chime/engine/wheel_node.hpp>
#include <chime/engine/wheel_slots.hpp>
#include <cstddef>
#include <cstdint>

namespace chime::engine {

/// Nodes that are due, in the order in which they leave (`precedes`).
///
/// When a hundred thousand are due at once, the first are out of the processor's caches again by
/// the time that the last one stands here; so here, too, they may be dealt over lanes, and the one
/// that a lane comes to next is asked for a whole round before it is wanted:
///
///     lane 0:  n0  n3  n6         leave: n0 n1 n2 n3 ..., each time from the next lane
///     lane 1:  n1  n4
///     lane 2:  n2  n5
///
/// Once a node has left out of its turn, or where whole lists were taken over, the lanes are not in
/// step: each is still in order, and the first of all is looked for among their first ones, unless
/// the number after the one that left stands where it was dealt to.
///
/// Nodes that come out of order, being overdue say, stand aside.
template <std::size_t Lanes>
class wheel_ready {
 public:
  constexpr wheel_ready() noexcept = default;
  wheel_ready(const wheel_ready&) = delete;
  wheel_ready& operator=(const wheel_ready&) = delete;

  constexpr void push_back(wheel_node& n) noexcept {
    if (known_empty_) {
      first_ = last_ = 0;
      is_in_step_ = true;
      known_late_ = nullptr;
      known_empty_ = false;
      expect(0, 0);
    } else {
      // (Nor behind itself: one that left out of turn and is back, where the next was its successor.)
      if (!leaves_last(n)) return late_.push(n);
      last_ = (last_ + 1) % Lanes;
    }
    set_latest(n);
    lanes_[last_].push_back(n);
  }

  /// Takes over lists of nodes, each in the order in which they leave. \pre it is empty
  constexpr void adopt(std::array<wheel_list, Lanes>& lanes) noexcept {
    latest_key_ = latest_sequence_ = 0;
    for (std::size_t i = 0; i != Lanes; ++i) {
      lanes_[i].append(lanes[i]);
      if (!lanes_[i].empty() && leaves_last(lanes_[i].back())) set_latest(lanes_[i].back());
    }
    known_empty_ = false;
    is_in_step_ = Lanes == 1;
    expect(0, 0);
  }

  /// The one that leaves first, or null.
  [[nodiscard]] constexpr wheel_node* front() noexcept {
    wheel_node* first = is_in_step_ ? front_in_turn() : least();
    if (late_.may_have_some()) [[unlikely]] {
      wheel_node* const late = late_.front();
      if (first == nullptr || (late != nullptr && late->precedes(*first)))
        first = known_late_ = late;
    }
    if (first == nullptr) known_empty_ = true;
    return first;
  }

  /// Takes a node out. \pre it is in here
  constexpr void remove(wheel_node& n) noexcept {
    if constexpr (Lanes != 1) {
      if (!is_in_step_) {
        if (is_next(n)) ++next_sequence_;
        prefetch(n.next->next);
      } else if (front_in_turn() == &n) {
        first_ = (first_ + 1) % Lanes;
        prefetch(n.next);
      } else if (known_late_ == &n) {
        known_late_ = nullptr;
      } else {
        is_in_step_ = false;
      }
    }
    n.unlink();
  }

  /// Takes all out, handing each to `file`, which may put it back.
  template <typename Function>
  constexpr void drain(Function file) noexcept {
    wheel_list all;
    clear([&](wheel_list& nodes) { all.append(nodes); });
    for (wheel_node* chain = all.take_all(); chain != nullptr;) {
      wheel_node& n = *chain;
      chain = wheel_list::next_in(n);
      file(n);
    }
  }

  /// Empties it: calls `empty` with every list.
  template <typename Function>
  constexpr void clear(Function empty) noexcept {
    for (wheel_list& lane : lanes_) empty(lane);
    late_.empty(empty);
    known_empty_ = true;
  }

 private:
  friend struct wheel_check;

  [[nodiscard]] constexpr wheel_node* front_in_turn() noexcept {
    wheel_list& lane = lanes_[Lanes == 1 ? 0 : first_];
    return lane.empty() ? nullptr : &lane.front();
  }

  [[nodiscard]] constexpr wheel_node* least() noexcept {
    if (wheel_list& lane = lanes_[next_sequence_ % Lanes]; !lane.empty() && is_next(lane.front()))
      return &lane.front();
    wheel_node* first = nullptr;
    for (wheel_list& lane : lanes_)
      if (!lane.empty() && (first == nullptr || lane.front().precedes(*first)))
        first = &lane.front();
    if (first != nullptr) expect(first->key_, first->sequence_);
    return first;
  }

  /// Whether it leaves after all that came in order.
  [[nodiscard]] constexpr bool leaves_last(const wheel_node& n) const noexcept {
    return n.key_ != latest_key_ ? n.key_ > latest_key_ : n.sequence_ > latest_sequence_;
  }
  constexpr void set_latest(const wheel_node& n) noexcept {
    latest_key_ = n.key_;
    latest_sequence_ = n.sequence_;
  }

  /// Nothing in here precedes this.
  constexpr void expect(wheel_key key, std::uint64_t sequence) noexcept {
    if constexpr (Lanes == 1) return;
    next_key_ = key;
    next_sequence_ = sequence;
  }
  [[nodiscard]] constexpr bool is_next(const wheel_node& n) const noexcept {
    return n.sequence_ == next_sequence_ && n.key_ == next_key_;
  }

  std::array<wheel_list, Lanes> lanes_;  // each in order
  wheel_late late_;
  wheel_node* known_late_ = nullptr;  // while the lanes are in step: null, or one of those
  std::size_t first_ = 0;             // lane of the one that leaves first, while they are in step
  std::size_t last_ = 0;              // lane of the one that came last
  bool known_empty_ = true;           // it was when last looked at, and nothing has come since
  bool is_in_step_ = true;
  wheel_key latest_key_ = 0;  // of the last to leave of all that are or were in the lanes
  std::uint64_t latest_sequence_ = 0;
  wheel_key next_key_ = 0;  // perhaps of the one that leaves first, while they are not in step
  std::uint64_t next_sequence_ = 0;
};

}  // namespace chime::engine
