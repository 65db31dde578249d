// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The nodes of the wheel that came due out of order. See wheel_ready.hpp.

#include <algorithm>
#include <array>
#include <bit>
#include <chime/engine/wheel_node.hpp>
#include <cstddef>
#include <cstdint>

namespace chime::engine {

/// Nodes in sorted runs, the i-th of which had up to 2^(i+1) nodes: to put one in takes amortised
/// O(log n) comparisons, and whoever leaves first is at the front of one of the runs.
///
///     came since front() was asked:  n7 n2
///     runs:                          [n5]  [n1 n9]  -  [n0 n3 n4 n6 ...]
///
/// Nodes leave by themselves, as from any wheel_list; a run that is empty is found so when it is
/// looked at.
class wheel_late {
 public:
  constexpr wheel_late() noexcept = default;
  wheel_late(const wheel_late&) = delete;
  wheel_late& operator=(const wheel_late&) = delete;

  /// False only if there is none.
  [[nodiscard]] constexpr bool may_have_some() const noexcept { return came_ != 0 || runs_ != 0; }

  constexpr void push(wheel_node& n) noexcept {
    coming_.push_back(n);
    ++came_;
  }

  /// The one that leaves first, or null.
  [[nodiscard]] constexpr wheel_node* front() noexcept {
    if (came_ != 0) settle();
    wheel_node* first = nullptr;
    for (auto left = runs_; left != 0; left &= left - 1) {
      const auto i = static_cast<unsigned>(std::countr_zero(left));
      if (sorted_[i].empty())
        runs_ &= ~(std::uint32_t{1} << i);
      else if (first == nullptr || sorted_[i].front().precedes(*first))
        first = &sorted_[i].front();
    }
    return first;
  }

  /// Calls `f` with every list, which it leaves empty.
  template <typename Function>
  constexpr void empty(Function f) noexcept {
    f(coming_);
    for (wheel_list& run : sorted_) f(run);
    came_ = 0;
    runs_ = 0;
  }

 private:
  friend struct wheel_check;

  static constexpr unsigned most_runs = 32;  // more nodes do not fit in memory

  /// Makes a run of those that came, and one of it and all that are no longer: the carry of a
  /// binary counter.
  constexpr void settle() noexcept {
    auto i = std::min(static_cast<unsigned>(std::bit_width(came_)), most_runs) - 1;
    if (came_ != 1) coming_.sort();
    came_ = 0;
    for (; i < most_runs - 1 && (runs_ >> i & 1) != 0; ++i) {
      runs_ &= ~(std::uint32_t{1} << i);
      coming_.merge(sorted_[i]);
    }
    sorted_[i].merge(coming_);
    runs_ |= std::uint32_t{1} << i;
  }

  wheel_list coming_;
  std::size_t came_ = 0;    // so many of them, or fewer, have not left
  std::uint32_t runs_ = 0;  // one bit a run that may have nodes
  std::array<wheel_list, most_runs> sorted_;
};

}  // namespace chime::engine
