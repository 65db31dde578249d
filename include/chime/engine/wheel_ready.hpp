// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The nodes of the wheel that are due. See wheel.hpp.

#include <array>
#include <cassert>
#include <chime/engine/wheel_node.hpp>
#include <chime/engine/wheel_slots.hpp>
#include <cstddef>

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
/// Once a node has left out of its turn, the lanes are not in step any more: each is still in
/// order, and the first of all is looked for among their first ones, until all have left.
template <std::size_t Lanes>
class wheel_ready {
 public:
  constexpr wheel_ready() noexcept = default;
  wheel_ready(const wheel_ready&) = delete;
  wheel_ready& operator=(const wheel_ready&) = delete;

  constexpr void push_back(wheel_node& n) noexcept {
    if (size_++ == 0) {
      first_ = last_ = 0;
      is_in_step_ = is_sorted_ = true;
    } else {
      if (n.precedes(latest_key_, latest_sequence_)) is_sorted_ = false;
      last_ = (last_ + 1) % Lanes;
    }
    latest_key_ = n.key_;
    latest_sequence_ = n.sequence_;
    lanes_[last_].push_back(n);
  }

  /// The one that leaves first, or null.
  [[nodiscard]] constexpr wheel_node* front() noexcept {
    if (size_ == 0) return nullptr;
    if (!is_sorted_) sort();
    if (is_in_step_) return &lanes_[first_].front();
    wheel_node* least = nullptr;
    for (wheel_list& lane : lanes_)
      if (!lane.empty() && (least == nullptr || lane.front().precedes(*least)))
        least = &lane.front();
    return least;
  }

  /// Takes a node out. \pre it is in here
  constexpr void remove(wheel_node& n) noexcept {
    assert(size_ != 0);
    --size_;
    if (Lanes != 1 && is_in_step_) {
      if (&lanes_[first_].front() == &n) {
        first_ = (first_ + 1) % Lanes;
        prefetch(n.next);
      } else {
        is_in_step_ = false;
      }
    }
    n.unlink();
  }

  /// Takes all out, handing each to `file`, which may put it back.
  template <typename Function>
  constexpr void drain(Function file) noexcept {
    std::array<wheel_node*, Lanes> chains{};
    for (std::size_t i = 0; i != Lanes; ++i) chains[i] = lanes_[i].take_all();
    size_ = 0;
    for (wheel_node* chain : chains) {
      while (chain != nullptr) {
        wheel_node& n = *chain;
        chain = wheel_list::next_in(n);
        file(n);
      }
    }
  }

  /// Empties it: calls `empty` with every list.
  template <typename Function>
  constexpr void clear(Function empty) noexcept {
    for (wheel_list& lane : lanes_) empty(lane);
    size_ = 0;
  }

 private:
  friend struct wheel_check;

  constexpr void sort() noexcept {
    for (std::size_t i = 1; i != Lanes; ++i) lanes_[0].append(lanes_[i]);
    lanes_[0].sort();
    is_sorted_ = true;
    is_in_step_ = Lanes == 1;
    latest_key_ = lanes_[0].back().key_;
    latest_sequence_ = lanes_[0].back().sequence_;
  }

  std::array<wheel_list, Lanes> lanes_;
  std::size_t size_ = 0;
  std::size_t first_ = 0;  // lane of the one that leaves first, while they are in step
  std::size_t last_ = 0;   // lane of the one that came last
  bool is_in_step_ = true;
  bool is_sorted_ = true;
  wheel_key latest_key_ = 0;  // of the one that came last
  std::uint64_t latest_sequence_ = 0;
};

}  // namespace chime::engine
