// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

namespace preload {

/// An object's place in a list; one for each list that it may stand in.
template <class T>
struct place {
  T* prev = nullptr;
  T* next = nullptr;
  bool is_taken = false;
};

/// Objects in the order in which they came. Usable before constructors have run, as those of
/// boost::intrusive are not.
template <class T, place<T> T::* Place>
class list {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] T* first() const noexcept { return first_; }
  [[nodiscard]] static T* after(const T& object) noexcept { return (object.*Place).next; }

  /// Nothing, if it is there already.
  void push_back(T& object) noexcept {
    if ((object.*Place).is_taken) return;
    object.*Place = {last_, nullptr, true};
    (last_ ? (last_->*Place).next : first_) = &object;
    last_ = &object;
  }

  /// Nothing, if it is not there.
  void remove(T& object) noexcept {
    const place<T> at = object.*Place;
    if (!at.is_taken) return;
    (at.prev ? (at.prev->*Place).next : first_) = at.next;
    (at.next ? (at.next->*Place).prev : last_) = at.prev;
    object.*Place = {};
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace preload
