// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// What the wheel's slots are made of: the node that a timer carries, and the circular list that it
/// hangs in. See wheel.hpp.

#include <cassert>
#include <chime/rules.hpp>
#include <cstddef>
#include <cstdint>

namespace chime::engine {

using rules::nanoseconds;

/// A deadline as an unsigned number of the same order, so that radix arithmetic holds for instants
/// before the epoch too.
using wheel_key = std::uint64_t;

constexpr wheel_key key_of(nanoseconds deadline) noexcept {
  return static_cast<wheel_key>(deadline.count()) ^ (wheel_key{1} << 63);
}

constexpr nanoseconds deadline_of(wheel_key key) noexcept {
  return nanoseconds{static_cast<std::int64_t>(key ^ (wheel_key{1} << 63))};
}

/// The key of a deadline that never comes.
inline constexpr wheel_key never_key = key_of(rules::never);

/// A place in a circular list: a node's, or the sentinel's.
struct wheel_link {
  constexpr void link_between(wheel_link& before, wheel_link& after) noexcept {
    prev = &before;
    next = &after;
    before.next = this;
    after.prev = this;
  }

  constexpr void unlink() noexcept {
    prev->next = next;
    next->prev = prev;
    next = nullptr;
  }

  [[nodiscard]] constexpr bool is_linked() const noexcept { return next != nullptr; }

  wheel_link* prev = nullptr;
  wheel_link* next = nullptr;
};

/// One timer in a wheel. Derive from it, or hold it as a member. The wheel neither owns nor copies
/// it: it must stay where it is while it is armed, and be disarmed before it is destroyed.
class wheel_node : wheel_link {
 public:
  constexpr wheel_node() noexcept = default;
  wheel_node(const wheel_node&) = delete;
  wheel_node& operator=(const wheel_node&) = delete;
  constexpr ~wheel_node() { assert(!is_armed()); }

  /// Whether a wheel holds it: true from `arm` until it is popped or disarmed.
  [[nodiscard]] constexpr bool is_armed() const noexcept { return is_linked(); }

  /// The deadline it was last armed with; it outlives the arming.
  [[nodiscard]] constexpr nanoseconds deadline() const noexcept { return deadline_of(key_); }

  /// Its place among equals; it outlives the arming, too.
  [[nodiscard]] constexpr std::uint64_t sequence() const noexcept { return sequence_; }

  /// Whether it leaves before `other`: by deadline, and among equals in the order armed (E6).
  [[nodiscard]] constexpr bool precedes(const wheel_node& other) const noexcept {
    return precedes(other.key_, other.sequence_);
  }

 private:
  friend class wheel;
  friend class wheel_list;
  template <std::size_t Lanes>
  friend class wheel_slots;
  template <std::size_t Lanes>
  friend class wheel_ahead;
  template <std::size_t Lanes>
  friend class wheel_ready;
  friend struct wheel_check;

  [[nodiscard]] constexpr bool precedes(wheel_key key, std::uint64_t sequence) const noexcept {
    return key_ != key ? key_ < key : sequence_ < sequence;
  }

  wheel_key key_ = 0;
  std::uint64_t sequence_ = 0;  // a count of arms: unique in its wheel, and too wide to wrap
};

static_assert(sizeof(wheel_node) <= 32);

/// A circular, doubly linked list of nodes around a sentinel: whoever is in it can leave without
/// knowing which list it is.
class wheel_list {
 public:
  constexpr wheel_list() noexcept : sentinel_{&sentinel_, &sentinel_} {}
  wheel_list(const wheel_list&) = delete;
  wheel_list& operator=(const wheel_list&) = delete;

  [[nodiscard]] constexpr bool empty() const noexcept { return sentinel_.next == &sentinel_; }

  /// The first node. \pre not empty
  [[nodiscard]] constexpr wheel_node& front() const noexcept { return node(sentinel_.next); }
  /// The last node. \pre not empty
  [[nodiscard]] constexpr wheel_node& back() const noexcept { return node(sentinel_.prev); }

  /// The node behind one that is in this list, or null.
  [[nodiscard]] constexpr wheel_node* after(const wheel_node& n) const noexcept {
    return n.next == &sentinel_ ? nullptr : &node(n.next);
  }

  constexpr void push_front(wheel_node& n) noexcept { n.link_between(sentinel_, *sentinel_.next); }
  constexpr void push_back(wheel_node& n) noexcept { n.link_between(*sentinel_.prev, sentinel_); }

  /// Moves all of `other` to the end of this list, in order.
  constexpr void append(wheel_list& other) noexcept {
    if (other.empty()) return;
    wheel_link* first = other.sentinel_.next;
    wheel_link* last = other.sentinel_.prev;
    first->prev = sentinel_.prev;
    first->prev->next = first;
    last->next = &sentinel_;
    sentinel_.prev = last;
    other.reset();
  }

  /// Takes all nodes out, as a chain for `next_in` to walk; the list is empty then.
  [[nodiscard]] constexpr wheel_node* take_all() noexcept {
    if (empty()) return nullptr;
    wheel_node* chain = &front();
    sentinel_.prev->next = nullptr;
    reset();
    return chain;
  }

  /// Takes a node off the front of a chain and gives back the rest of it.
  static constexpr wheel_node* leave(wheel_node& n) noexcept {
    wheel_node* rest = next_in(n);
    n.next = nullptr;
    return rest;
  }

  /// The node after `n` in a chain, or null. Ask before `n` is filed elsewhere.
  [[nodiscard]] static constexpr wheel_node* next_in(const wheel_node& n) noexcept {
    return n.next == nullptr ? nullptr : &node(n.next);
  }

  /// Calls `f` with each node in turn; `f` must leave the list as it is.
  template <typename Function>
  constexpr void for_each(Function f) const {
    for (wheel_link* i = sentinel_.next; i != &sentinel_; i = i->next) f(node(i));
  }

  /// Puts the nodes in the order in which they leave (`precedes`).
  constexpr void sort() noexcept;

  /// Takes over the nodes of another list. \pre both are sorted, and so is the outcome
  constexpr void merge(wheel_list& other) noexcept;

 private:
  friend struct wheel_check;

  static constexpr wheel_node& node(wheel_link* link) noexcept {
    return static_cast<wheel_node&>(*link);
  }

  constexpr void reset() noexcept { sentinel_.prev = sentinel_.next = &sentinel_; }

  static constexpr wheel_node* take_run(wheel_node*& chain) noexcept;
  static constexpr wheel_node* merge(wheel_node* a, wheel_node* b) noexcept;
  constexpr void append_chain(wheel_node* chain) noexcept;

  wheel_link sentinel_;
};

/// Splits off the longest sorted beginning of `chain`.
constexpr wheel_node* wheel_list::take_run(wheel_node*& chain) noexcept {
  wheel_node* run = chain;
  wheel_node* last = run;
  wheel_node* rest = next_in(*last);
  while (rest != nullptr && last->precedes(*rest)) {
    last = rest;
    rest = next_in(*last);
  }
  last->next = nullptr;
  chain = rest;
  return run;
}

/// Merges two sorted chains.
constexpr wheel_node* wheel_list::merge(wheel_node* a, wheel_node* b) noexcept {
  wheel_link head;
  wheel_link* last = &head;
  while (a != nullptr && b != nullptr) {
    wheel_node*& first = a->precedes(*b) ? a : b;
    last->next = first;
    last = first;
    first = next_in(*first);
  }
  last->next = a != nullptr ? a : b;
  return &node(head.next);
}

/// A merge sort of the runs found, so that a list already in order costs one pass.
constexpr void wheel_list::sort() noexcept {
  wheel_node* merged[64] = {};  // merged[i]: a sorted chain of 2^i runs, as the bits of a counter
  for (wheel_node* rest = take_all(); rest != nullptr;) {
    wheel_node* chain = take_run(rest);
    std::size_t i = 0;
    for (; merged[i] != nullptr; ++i) {
      chain = merge(merged[i], chain);
      merged[i] = nullptr;
    }
    merged[i] = chain;
  }
  wheel_node* sorted = nullptr;
  for (wheel_node* chain : merged) {
    if (chain != nullptr) sorted = sorted == nullptr ? chain : merge(chain, sorted);
  }
  append_chain(sorted);
}

constexpr void wheel_list::merge(wheel_list& other) noexcept {
  if (other.empty()) return;
  if (empty()) return append(other);
  wheel_node* const a = take_all();
  append_chain(merge(a, other.take_all()));
}

constexpr void wheel_list::append_chain(wheel_node* chain) noexcept {
  while (chain != nullptr) {
    wheel_node& n = *chain;
    chain = next_in(n);
    push_back(n);
  }
}

}  // namespace chime::engine
