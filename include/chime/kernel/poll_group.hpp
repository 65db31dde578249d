// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

/// \file
/// Waits for any number of descriptors by AIO polls: one registration in the reactor, one io_submit for
/// all waits that are begun in one go, and completions without a system call.
///
///     begin, begin, begin ---> queued ---post---> io_submit ---> the kernel polls
///                                                                   |
///     polled(), polled() <--- the ring of each context <--- bell <--+

#include <chime/error.hpp>
#include <chime/kernel/aio_bell.hpp>
#include <chime/kernel/aio_queue.hpp>
#include <chime/shim/iocb.hpp>
#include <chime/user/service.hpp>

#include <boost/asio/execution_context.hpp>

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace chime::kernel {

/// Whose descriptor is polled. Called with access to the service of its context (see user::service).
class pollable {
 public:
  /// It has become readable; or it cannot be polled, and that is why.
  virtual void polled(error_code ec) noexcept = 0;

 protected:
  ~pollable() = default;
};

/// All descriptors of an execution context that are polled in common.
///
/// A poll stays with the kernel until it is done, though nobody may wait for it any more: the next wait
/// finds it there. There are as many places as there were ever descriptors at a time; where more are
/// needed, another AIO context is made, as big as all before. They ring the same bell.
///
/// Everything but what says so is called with access to the user::service of the context.
class poll_group final : public boost::asio::execution_context::service {
 public:
  static inline boost::asio::execution_context::id id;

  explicit poll_group(boost::asio::execution_context& context)
      : boost::asio::execution_context::service{context},
        host_{boost::asio::use_service<user::service>(context)} {}

  class place;
  struct give_back_place {
    void operator()(place* p) const noexcept { p->home->group.give_back(*p); }
  };
  using place_owner = std::unique_ptr<place, give_back_place>;

 private:
  struct part;

 public:
  /// Where a descriptor is polled from.
  class place {
   public:
    place() noexcept = default;

   private:
    friend class poll_group;
    enum class state : std::uint8_t { at_rest, queued, in_kernel };

    shim::iocb control{};
    pollable* owner = nullptr;
    part* home = nullptr;
    std::size_t index = 0;  // in the queue
    state where = state::at_rest;
    bool is_waited_for = false;
  };

  /// A place for a descriptor. EAGAIN: there are none left (fs.aio-max-nr). ENOSYS: no AIO here.
  /// EMFILE and the like: no bell.
  [[nodiscard]] place_owner take_place(pollable& owner, int fd, error_code& ec) {
    ec = {};
    if (free_.empty()) look();  // for such as are free by now, or will be in a moment
    while (free_.empty() && wait_for_cancelled()) continue;
    if (free_.empty()) grow(std::max<std::size_t>(total_, 64), ec);
    if (ec) return nullptr;
    place& p = *free_.back();
    free_.pop_back();
    p.owner = &owner;
    p.control =
        shim::with_data(shim::with_eventfd(shim::iocb_poll(fd, POLLIN), bell_.native_handle()), &p);
    return place_owner{&p};
  }

  /// Makes sure that there are places for so many descriptors, in one AIO context if there are none yet.
  void reserve(std::size_t descriptors, error_code& ec) {
    ec = {};
    if (descriptors > total_) grow(descriptors - total_, ec);
  }

  /// Somebody waits for it. \return whether flush() is to be called, soon and without access
  [[nodiscard]] bool begin(place& p) {
    if (!std::exchange(p.is_waited_for, true)) ++waits_;
    if (p.where != place::state::at_rest) {
      listen();
      return false;
    }
    p.where = place::state::queued;
    p.index = p.home->queued.size();
    p.home->queued.push_back(&p.control);  // there is room
    return !std::exchange(will_flush_, true);
  }

  /// Nobody waits any more.
  void end(place& p) {
    if (!std::exchange(p.is_waited_for, false)) return;
    if (--waits_ == 0 && is_listening_)
      bell_.cancel();  // or the context would never be out of work
  }

  /// Hands to the kernel what is queued. Called without access.
  void flush() {
    const user::service::access locked{host_};
    will_flush_ = false;
    if (is_shut_down_) return;
    submit();
    listen();
  }

 private:
  using state = place::state;

  struct part {
    explicit part(poll_group& g, std::size_t size) : group{g}, places(size) {}

    poll_group& group;
    aio_queue queue;
    std::vector<place> places;
    std::vector<shim::iocb*> queued;
    std::size_t in_kernel = 0;
    std::size_t cancelled = 0;  // of those: nobody's any more
  };

  static place& place_of(const shim::iocb& control) noexcept {
    return *reinterpret_cast<place*>(static_cast<std::uintptr_t>(control.aio_data));
  }

  void give_back(place& p) noexcept {
    const bool was_waited_for = std::exchange(p.is_waited_for, false);
    if (was_waited_for && --waits_ == 0 && is_listening_) bell_.cancel();
    p.owner = nullptr;
    part& home = *p.home;
    if (p.where == state::queued) {
      home.queued[p.index] = home.queued.back();
      place_of(*home.queued[p.index]).index = p.index;
      home.queued.pop_back();
      p.where = state::at_rest;
    }
    if (p.where == state::at_rest) {
      free_.push_back(&p);  // there is room
    } else {
      ++home.cancelled;  // it is free when its event has come
      (void)home.queue.cancel(p.control);
    }
  }

  void grow(std::size_t places, error_code& ec) {
    if (is_shut_down_) {
      ec = error::from_errno(ENOSYS);
      return;
    }
    if (!bell_.is_open()) bell_.open(context(), ec);
    if (ec) return;
    auto queue = aio_queue::open(static_cast<unsigned>(std::min<std::size_t>(places, ~0U)));
    ec = queue ? error_code{} : queue.error();
    if (ec) return;
    auto made = std::make_unique<part>(*this, places);
    made->queue = std::move(*queue);
    made->queued.reserve(places);
    free_.reserve(total_ + places);
    parts_.push_back(std::move(made));
    part& p = *parts_.back();
    for (auto last = p.places.rbegin(); last != p.places.rend(); ++last) {
      last->home = &p;
      free_.push_back(&*last);
    }
    total_ += places;
  }

  void submit() noexcept {
    for (const auto& p : parts_) submit(*p);
  }

  void submit(part& p) noexcept {
    std::size_t done = 0;
    while (done < p.queued.size()) {
      const auto begun = p.queue.submit(std::span{p.queued}.subspan(done));
      // Its ring is full of events that nobody has taken: when they are, it goes on.
      if (!begun && begun.error().value() == EAGAIN && p.in_kernel != 0) break;
      if (!begun) {
        place& failed = place_of(*p.queued[done++]);
        failed.where = state::at_rest;
        tell(failed, begun.error());
        continue;
      }
      for (std::size_t i = 0; i < *begun; ++i)
        place_of(*p.queued[done + i]).where = state::in_kernel;
      p.in_kernel += *begun;
      done += *begun;
    }
    p.queued.erase(p.queued.begin(), p.queued.begin() + static_cast<std::ptrdiff_t>(done));
    for (std::size_t i = 0; i < p.queued.size(); ++i) place_of(*p.queued[i]).index = i;
  }

  /// Takes the events that there are.
  void look() noexcept {
    for (const auto& p : parts_) p->queue.take([this](const shim::io_event& e) { came(e); });
  }

  /// Waits for an event where a poll has been cancelled, so that one is sure to come. False if none has.
  bool wait_for_cancelled() noexcept {
    for (const auto& p : parts_)
      if (p->cancelled != 0) return p->queue.wait([this](const shim::io_event& e) { came(e); });
    return false;
  }

  void came(const shim::io_event& event) noexcept {
    place& of = *shim::data_of<place>(event);
    --of.home->in_kernel;
    of.where = state::at_rest;
    if (!of.owner) {
      --of.home->cancelled;
      free_.push_back(&of);  // there is room
      return;
    }
    const auto answer = shim::outcome(event);
    tell(of, answer ? error_code{} : answer.error());
  }

  void tell(place& p, error_code ec) noexcept {
    if (std::exchange(p.is_waited_for, false)) --waits_;
    p.owner->polled(ec);
  }

  /// Hears the bell, as long as anybody waits for the kernel.
  void listen() {
    if (is_listening_ || waits_ == 0 || !bell_.is_open()) return;
    if (std::all_of(parts_.begin(), parts_.end(), [](auto& p) { return p->in_kernel == 0; }))
      return;
    bell_.listen([this](error_code) { host_.serve_after([this] { rung(); }); });
    is_listening_ = true;
  }

  void rung() {
    is_listening_ = false;
    if (is_shut_down_) return;
    bell_.clear();
    look();
    submit();  // what had no room
    listen();
  }

  void shutdown() override {
    const user::service::access locked{host_};
    is_shut_down_ = true;
    bell_.close();
    for (const auto& p : parts_) {
      p->queue = {};
      p->queued.clear();
      p->in_kernel = p->cancelled = 0;
      for (place& each : p->places) each.where = state::at_rest;
    }
  }

  /// A forked child has no AIO contexts, and shares the bell. It makes its own, and polls anew.
  void notify_fork(boost::asio::execution_context::fork_event event) override {
    if (event != boost::asio::execution_context::fork_child) return;
    const user::service::access locked{host_};
    if (!bell_.is_open()) return;
    bell_.close();
    error_code ec;
    bell_.open(context(), ec);
    for (const auto& p : parts_) {
      auto queue = ec ? shim::result<aio_queue>{ec}
                      : aio_queue::open(static_cast<unsigned>(p->places.size()));
      p->queue = queue ? std::move(*queue) : aio_queue{};
      p->queued.clear();
      p->in_kernel = p->cancelled = 0;
      for (place& each : p->places) {
        const state before = std::exchange(each.where, state::at_rest);
        if (!each.owner) {
          if (before == state::in_kernel) free_.push_back(&each);
          continue;
        }
        if (bell_.is_open())
          each.control.aio_resfd = static_cast<std::uint32_t>(bell_.native_handle());
        if (before == state::at_rest) continue;
        each.where = state::queued;
        each.index = p->queued.size();
        p->queued.push_back(&each.control);
      }
    }
    submit();  // where there is no context, each is told EINVAL
    is_listening_ = false;
    listen();
  }

  user::service& host_;
  aio_bell bell_;
  std::vector<std::unique_ptr<part>> parts_;
  std::vector<place*> free_;
  std::size_t total_ = 0;
  std::size_t waits_ = 0;  // places that are waited for
  bool will_flush_ = false;
  bool is_listening_ = false;  // until it is called, cancelled or not
  bool is_shut_down_ = false;
};

}  // namespace chime::kernel
