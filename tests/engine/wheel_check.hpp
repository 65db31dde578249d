// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// The invariants of the wheel, for its tests.

#include <chime/engine/wheel.hpp>
#include <cstddef>
#include <sstream>
#include <string>

namespace chime::engine {

/// Looks at everything a wheel keeps. `fault()` is empty, or says which invariant is broken and
/// shows the wheel.
struct wheel_check {
  static std::string fault(const wheel& w) {
    wheel_check check{w};
    check.run();
    return check.fault_.empty() ? std::string{} : check.fault_ + "\n" + check.state();
  }

  /// Whether the slot of a deadline, as seen from the base, would be taken over as it is.
  static bool is_uniform(const wheel& w, nanoseconds deadline) {
    return w.wide_ != nullptr && w.wide_->is_uniform(position_of(key_of(deadline), w.base_));
  }

  /// How many nodes stand in the slot of a deadline, as seen from the base.
  static std::size_t in_slot_of(const wheel& w, nanoseconds deadline) {
    const auto [level, slot] = position_of(key_of(deadline), w.base_);
    std::size_t count = 0;
    const auto count_list = [&](const wheel_list& nodes) {
      nodes.for_each([&](const wheel_node&) { ++count; });
    };
    if (w.wide_ == nullptr) {
      for (const wheel_list& lane : w.slots_.rows_[level].slots[slot].lanes) count_list(lane);
    } else {
      for (const wheel_list& lane : w.wide_->rows_[level].slots[slot].lanes) count_list(lane);
    }
    return count;
  }

 private:
  using wide = wheel::wide_slots;

  explicit wheel_check(const wheel& w) : w_{w} {}

  void run() {
    ready(w_.slots_.ready);
    walk(w_.dormant_, "dormant");
    w_.dormant_.for_each(
        [&](const wheel_node& n) { expect(n.key_ == never_key, "dormant never fires", n); });
    slots(w_.slots_, w_.base_);
    if (w_.wide_ != nullptr) {  // and then nothing is left in slots_: see size
      ready(w_.wide_->ready);
      slots(*w_.wide_, w_.base_);
      ahead(*w_.wide_);
    }
    if (nodes_ != w_.size_) fail("size counts the nodes: found " + std::to_string(nodes_));
  }

  template <std::size_t Lanes>
  void ready(const wheel_ready<Lanes>& r) {
    const std::size_t before = nodes_;
    for (const wheel_list& lane : r.lanes_) {
      walk(lane, "ready");
      const wheel_node* last = nullptr;
      lane.for_each([&](const wheel_node& n) {
        expect(n.key_ <= w_.base_, "ready is due", n);
        expect(last == nullptr || last->precedes(n), "a ready lane is sorted", n);
        expect(Lanes == 1 || r.is_in_step_ || !n.precedes(r.next_key_, r.next_sequence_),
               "nothing precedes the next", n);
        last = &n;
      });
    }
    if (r.is_in_step_) in_step(r, nodes_ - before);
    late(r.late_);
    if (r.known_empty_ && nodes_ != before) fail("ready is not empty without knowing");
  }

  void late(const wheel_late& l) {
    const std::size_t before = nodes_;
    walk(l.coming_, "late");
    l.coming_.for_each([&](const wheel_node& n) { expect(n.key_ <= w_.base_, "late is due", n); });
    if (nodes_ - before > l.came_) fail("more came late than are counted");
    for (unsigned i = 0; i != wheel_late::most_runs; ++i) {
      const std::size_t earlier = nodes_;
      walk(l.sorted_[i], "late");
      if (nodes_ != earlier && (l.runs_ >> i & 1) == 0) fail("a late run is marked");
      if (nodes_ - earlier > std::size_t{2} << i) fail("a late run is no longer than its place");
      const wheel_node* last = nullptr;
      l.sorted_[i].for_each([&](const wheel_node& n) {
        expect(n.key_ <= w_.base_, "late is due", n);
        expect(last == nullptr || last->precedes(n), "a late run is sorted", n);
        last = &n;
      });
    }
  }

  /// Goes round the lanes as those leave that are in step.
  template <std::size_t Lanes>
  void in_step(const wheel_ready<Lanes>& r, std::size_t size) {
    const wheel_node* next[Lanes];
    for (std::size_t i = 0; i != Lanes; ++i)
      next[i] = r.lanes_[i].empty() ? nullptr : &r.lanes_[i].front();
    const wheel_node* last = nullptr;
    for (std::size_t i = 0; i != size; ++i) {
      const std::size_t lane = (r.first_ + i) % Lanes;
      const wheel_node* const n = next[lane];
      if (n == nullptr) return fail("the lanes are in step: one is too short");
      expect(last == nullptr || last->precedes(*n), "the lanes are in step", *n);
      last = n;
      next[lane] = r.lanes_[lane].after(*n);
    }
  }

  void ahead(const wide& w) {
    for (unsigned level = 0; level != level_count; ++level) {
      const auto* const s = w.ahead.splits_[level];
      if ((w.ahead.levels_ >> level & 1) == 0) {
        if (s != nullptr && s->aside.occupied_levels_ != 0) fail("nothing stands aside");
        if (w.rows_[level].pinned != slots_per_level) fail("no slot is pinned");
        continue;
      }
      if (s->at.level != level) fail("a split is of its level");
      if (!w.rows_[level].is_occupied(s->at.slot)) fail("a split slot is marked");
      if (!w.is_pinned(s->at)) fail("a split slot is pinned");
      if (w.is_uniform(s->at)) fail("a split slot is not uniform");
      if (!s->holds(w.earliest(s->at))) fail("the base aside lies in the split slot");
      if (s->aside.occupied_levels_ >> level != 0) fail("what stands aside is below its slot");
      slots(s->aside, s->base, false);
      for (unsigned below = 0; below != level; ++below) {
        for (unsigned slot = 0; slot != slots_per_level; ++slot) {
          if (s->aside.rows_[below].is_occupied(slot) &&
              s->aside.rows_[below].heads[slot].earliest < w.earliest(s->at))
            fail("the bound of a split slot holds for what stands aside");
        }
      }
    }
  }

  template <typename Slots>
  void slots(const Slots& s, wheel_key base, bool knows_uniform = Slots::has_lanes) {
    for (unsigned level = 0; level != level_count; ++level) {
      const auto& row = s.rows_[level];
      if ((row.occupied != 0) != ((s.occupied_levels_ >> level & 1) != 0)) {
        fail("levels match their slots");
      }
      for (unsigned slot = 0; slot != slots_per_level; ++slot) {
        if (row.is_occupied(slot)) {
          if (slot <= digit_of(base, level)) fail("occupied slots lie after the base");
          if (position_of(row.heads[slot].earliest, base) != slot_position{level, slot}) {
            fail("the bound lies in its slot");
          }
        }
        for (const wheel_list& lane : row.slots[slot].lanes) {
          if (lane.empty()) continue;
          walk(lane, "slot");
          bool is_uniform = false;
          if constexpr (Slots::has_lanes)
            is_uniform = knows_uniform && row.is_occupied(slot) && s.is_uniform({level, slot});
          const wheel_node* last = nullptr;
          lane.for_each([&](const wheel_node& n) {
            if (is_uniform) {
              expect(n.key_ == row.heads[slot].earliest, "a uniform slot has one deadline", n);
              expect(last == nullptr || last->precedes(n), "a lane of a uniform slot is sorted", n);
              last = &n;
            }
            expect(row.is_occupied(slot), "a node's slot is occupied", n);
            // A node that was put off stays where it was, so it may belong further out: never
            // nearer.
            expect(row.heads[slot].earliest <= n.key_, "no node is before its slot's bound", n);
            expect(n.key_ > base, "slots lie after the base", n);
          });
        }
      }
    }
  }

  void walk(const wheel_list& list, const char* name) {
    const wheel_link* last = &list.sentinel_;
    list.for_each([&](wheel_node& n) {
      ++nodes_;
      if (link(n).prev != last) fail(std::string{"the links match: "} + name);
      last = &link(n);
      expect(n.is_armed(), "what is in a list is armed", n);
      expect(n.sequence_ < w_.next_sequence_, "sequences were given out", n);
    });
    if (list.sentinel_.prev != last) fail(std::string{"the list closes: "} + name);
  }

  static const wheel_link& link(const wheel_node& n) { return n; }

  void expect(bool holds, const char* what, const wheel_node& n) {
    if (!holds) {
      fail(std::string{what} + ": deadline " + std::to_string(n.deadline().count()) + " #" +
           std::to_string(n.sequence_));
    }
  }
  void fail(const std::string& what) {
    if (fault_.empty()) fault_ = what;
  }

  [[nodiscard]] std::string state() const {
    std::ostringstream out;
    out << "base " << deadline_of(w_.base_).count() << ", size " << w_.size_ << "\n";
    for (const wheel_list& lane : w_.slots_.ready.lanes_) show(out, "ready", lane);
    show(out, "dormant", w_.dormant_);
    if (w_.wide_ != nullptr) {
      for (const wheel_list& lane : w_.wide_->ready.lanes_) show(out, "ready", lane);
      show(out, *w_.wide_);
      for (const auto* split : w_.wide_->ahead.splits_) {
        if (split == nullptr) continue;
        out << "aside, base " << deadline_of(split->base).count() << "\n";
        show(out, split->aside);
      }
    } else {
      show(out, w_.slots_);
    }
    return out.str();
  }

  template <typename Slots>
  static void show(std::ostream& out, const Slots& s) {
    for (unsigned level = 0; level != level_count; ++level) {
      const auto& row = s.rows_[level];
      for (unsigned slot = 0; slot != slots_per_level; ++slot) {
        if (row.is_occupied(slot)) {
          out << "level " << level << " slot " << slot << " from "
              << deadline_of(row.heads[slot].earliest).count() << "\n";
        }
        for (const wheel_list& lane : row.slots[slot].lanes) show(out, "   ", lane);
      }
    }
  }

  static void show(std::ostream& out, const char* name, const wheel_list& list) {
    if (list.empty()) return;
    out << name << ":";
    list.for_each(
        [&](const wheel_node& n) { out << " " << n.deadline().count() << "#" << n.sequence_; });
    out << "\n";
  }

  const wheel& w_;
  std::size_t nodes_ = 0;
  std::string fault_;
};

}  // namespace chime::engine
