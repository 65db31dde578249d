// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// `co_await timer` in coroutines that are not Asio's.
#include "heap.hpp"
#include "support/asio.hpp"
#include "support/task.hpp"

#include <chime/posix_timer.hpp>
#include <chime/timerfd.hpp>
#include <chime/user/timerfd.hpp>
#include <chime/virtual_time.hpp>

#include <doctest/doctest.h>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using chime::monotonic_clock;
using support::task;
using strand_type = asio::strand<asio::io_context::executor_type>;

/// A timer on its executor, in a context of its own.
template <class Timer, bool OnStrand>
struct real_world {
  using timer = Timer;
  using expiry = typename Timer::expiry_type;

  asio::io_context context;
  std::optional<strand_type> strand;

  typename Timer::executor_type executor() {
    if constexpr (OnStrand) {
      if (!strand) strand.emplace(context.get_executor());
      return *strand;
    } else {
      return context.get_executor();
    }
  }
  void run_out() { support::run_out(context); }
  template <class Done>
  void until(Done done) {
    support::run_until(context, done);
  }
};

template <class Timer>
struct virtual_world : real_world<Timer, false> {
  chime::virtual_time time{this->context};

  template <class Done>
  void until(Done done) {
    for (int i = 0; i < 10'000 && !done(); ++i) time.advance(100us);
    REQUIRE(done());
  }
  void run_out() { time.advance(0ns); }
};

using engine_timer = chime::basic_timer<chime::user::timerfd<monotonic_clock>>;

#define WORLDS                                                                                 \
  real_world<chime::timerfd<monotonic_clock>, false>,                                          \
      real_world<chime::timerfd<monotonic_clock>, true>,                                       \
      real_world<chime::posix_timer<monotonic_clock>, false>, real_world<engine_timer, false>, \
      real_world<engine_timer, true>,                                                          \
      real_world<chime::basic_timer<chime::user::timerfd<monotonic_clock>,                     \
                                    asio::io_context::executor_type>,                          \
                 false>,                                                                       \
      virtual_world<engine_timer>, virtual_world<chime::timerfd<monotonic_clock>>

/// What the waits of a coroutine brought.
template <class Expiry>
struct record {
  int waits = 0;
  error_code error;
  Expiry last;
  std::uint64_t expirations = 0;
};

template <class Timer, class Record>
task wait_once(Timer& t, Record& seen) {
  error_code ec = asio::error::fault;
  seen.last = co_await t.next(ec);
  seen.error = ec;
  seen.expirations += seen.last.expirations;
  ++seen.waits;
}

template <class Timer, class Record>
task wait_often(Timer& t, int times, Record& seen) {
  while (seen.waits < times) {
    seen.last = co_await t;
    seen.expirations += seen.last.expirations;
    ++seen.waits;
  }
}

}  // namespace

TEST_CASE_TEMPLATE("a coroutine of any type awaits a timer", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  record<typename World::expiry> seen;
  const auto first = t.now() + 1ms;
  t.set(World::timer::setting_type::at(first, 1ms));
  const task waits = wait_often(t, 5, seen);
  CHECK(seen.waits == 0);
  world.until([&] { return waits.is_done(); });
  waits.get();
  CHECK(seen.waits == 5);
  CHECK(seen.expirations >= 5);
  CHECK(seen.last.scheduled == first + static_cast<std::int64_t>(seen.expirations - 1) * 1ms);
  CHECK(seen.last.scheduled <= t.now());
}

TEST_CASE_TEMPLATE("a native wait never goes on within itself", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  record<typename World::expiry> seen;
  t.expires_at(typename World::timer::time_point{1ns});
  world.until([&] { return t.is_ready(); });
  const task wait = wait_once(t, seen);
  CHECK(seen.waits == 0);
  world.until([&] { return wait.is_done(); });
  CHECK_FALSE(seen.error);
  CHECK(seen.last.expirations == 1);
}

TEST_CASE_TEMPLATE("native waits fail where async_wait does", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  record<typename World::expiry> seen;
  SUBCASE("closed before, EBADF") {
    t.close();
    const task wait = wait_once(t, seen);
    CHECK(wait.is_done());
    CHECK(seen.error == asio::error::bad_descriptor);
    record<typename World::expiry> none;
    const task thrown = wait_often(t, 1, none);
    CHECK_THROWS_AS(thrown.get(), chime::system_error);
  }
  SUBCASE("cancelled, closed or destroyed") {
    t.expires_after(1h);
    const task wait = wait_once(t, seen);
    SUBCASE("") { t.cancel(); }
    SUBCASE("") { t.close(); }
    SUBCASE("") { typename World::timer{std::move(t)}; }
    CHECK(seen.waits == 0);  // not within the call
    world.until([&] { return wait.is_done(); });
    CHECK(seen.error == asio::error::operation_aborted);
    CHECK(seen.last.expirations == 0);
    world.run_out();
  }
  SUBCASE("without an error_code it throws") {
    t.expires_after(1h);
    const task wait = wait_often(t, 1, seen);
    t.cancel();
    world.until([&] { return wait.is_done(); });
    try {
      wait.get();
      FAIL("no exception");
    } catch (const chime::system_error& e) {
      CHECK(e.code() == asio::error::operation_aborted);
    }
  }
}

TEST_CASE_TEMPLATE("a cancelled native wait takes nothing", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  record<typename World::expiry> first, second;
  t.expires_at(typename World::timer::time_point{1ns});
  world.until([&] { return t.is_ready(); });
  const task cancelled = wait_once(t, first);
  t.cancel();
  const task next = wait_once(t, second);
  world.until([&] { return next.is_done(); });
  CHECK(first.error == asio::error::operation_aborted);
  CHECK(first.expirations == 0);
  CHECK_FALSE(second.error);
  CHECK(second.expirations == 1);
  world.run_out();
}

TEST_CASE_TEMPLATE("a suspended coroutine may be destroyed, and takes nothing", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  record<typename World::expiry> gone, seen;
  SUBCASE("while it waits; then nothing keeps the context running") {
    t.expires_after(1h);
    {
      const task wait = wait_once(t, gone);
    }
    world.run_out();
  }
  SUBCASE("and what expires goes to the wait behind it") {
    t.expires_after(1ms);
    task wait = wait_once(t, gone);
    const task behind = wait_once(t, seen);
    wait.destroy();
    world.until([&] { return behind.is_done(); });
    CHECK(seen.expirations == 1);
  }
  SUBCASE("while it stands in line") {
    t.expires_after(1ms);
    const task first = wait_once(t, seen);
    {
      const task in_line = wait_once(t, gone);
    }
    record<typename World::expiry> last;
    const task behind = wait_once(t, last);
    world.until([&] { return first.is_done(); });
    t.expires_after(1ms);
    world.until([&] { return behind.is_done(); });
    CHECK(seen.expirations == 1);
    CHECK(last.expirations == 1);
  }
  SUBCASE("when it is about to go on") {
    t.expires_at(typename World::timer::time_point{1ns});
    world.until([&] { return t.is_ready(); });
    {
      const task wait = wait_once(t, gone);
    }
    const task next = wait_once(t, seen);
    world.until([&] { return next.is_done(); });
    CHECK(seen.expirations == 1);
  }
  SUBCASE("cancelled already") {
    t.expires_after(1ms);
    task wait = wait_once(t, gone);
    t.cancel();
    wait.destroy();
    const task next = wait_once(t, seen);
    world.until([&] { return next.is_done(); });
    CHECK(seen.expirations == 1);
  }
  SUBCASE("after its timer") {
    t.expires_after(1h);
    task wait = wait_once(t, gone);
    t.close();
    wait.destroy();
  }
  world.run_out();
  CHECK(gone.waits == 0);
}

TEST_CASE_TEMPLATE("a suspended coroutine may be destroyed after its context", World, WORLDS) {
  record<typename World::expiry> gone;
  std::vector<task> waits;
  {
    World world;
    typename World::timer t{world.executor()};
    t.expires_after(1h);
    waits.push_back(wait_once(t, gone));
    waits.push_back(wait_once(t, gone));
  }
  waits.clear();
  CHECK(gone.waits == 0);
}

TEST_CASE_TEMPLATE("native waits stand in one line with all others", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  std::vector<int> order;
  const auto wait = [](auto& timer, std::vector<int>& served, int me) -> task {
    co_await timer;
    served.push_back(me);
  };
  t.expires_every(1ms);
  std::vector<task> waits;
  waits.push_back(wait(t, order, 0));
  t.async_wait([&](error_code, auto) { order.push_back(1); });
  waits.push_back(wait(t, order, 2));
  waits.push_back(wait(t, order, 3));
  t.async_wait([&](error_code, auto) { order.push_back(4); });
  world.until([&] { return order.size() == 5; });
  CHECK(order == std::vector{0, 1, 2, 3, 4});
}

TEST_CASE_TEMPLATE("a timer set anew does not end its native wait", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  record<typename World::expiry> seen;
  t.expires_at(typename World::timer::time_point{1ns});
  world.until([&] { return t.is_ready(); });
  const task wait = wait_once(t, seen);  // about to go on, in vain
  const auto deadline = t.now() + 2ms;
  t.expires_at(deadline);
  world.until([&] { return wait.is_done(); });
  CHECK(seen.expirations == 1);
  CHECK(seen.last.scheduled == deadline);
  CHECK(t.now() >= deadline);
}

TEST_CASE_TEMPLATE("a native wait is cancelled by the slot of its promise", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  record<typename World::expiry> seen, other;
  asio::cancellation_signal signal;
  // A promise is told the coroutine's arguments; a lambda's first would be its own object.
  struct start {
    static support::cancellable_task now(asio::cancellation_signal&, typename World::timer& timer,
                                         record<typename World::expiry>& out) {
      out.last = co_await timer.next(out.error);
      ++out.waits;
    }
  };
  t.expires_after(1h);
  SUBCASE("at the timer") {
    const auto wait = start::now(signal, t, seen);
    signal.emit(asio::cancellation_type::partial);
    world.until([&] { return wait.is_done(); });
  }
  SUBCASE("in line") {
    const task first = wait_once(t, other);
    const auto wait = start::now(signal, t, seen);
    signal.emit(asio::cancellation_type::total);
    world.until([&] { return wait.is_done(); });
    CHECK(other.waits == 0);
  }
  CHECK(seen.error == asio::error::operation_aborted);
  signal.emit(asio::cancellation_type::terminal);  // over: nothing to cancel
  world.run_out();
}

TEST_CASE_TEMPLATE("a native wait goes on by the timer's executor", World, WORLDS) {
  World world;
  typename World::timer t{world.executor()};
  const auto wait = [](World& w, auto& timer, bool& inside) -> task {
    co_await timer;
    inside = w.strand ? w.strand->running_in_this_thread()
                      : w.context.get_executor().running_in_this_thread();
  };
  bool inside = false;
  t.expires_after(1ms);
  const task waits = wait(world, t, inside);
  world.until([&] { return waits.is_done(); });
  CHECK(inside);
}

// A strand's executor is more than any_io_executor holds without memory; virtual_time takes some itself.
TEST_SUITE("memory") {
  using kernel_kept = real_world<chime::timerfd<monotonic_clock>, false>;
  using engine_kept = real_world<engine_timer, false>;
  TEST_CASE_TEMPLATE("native waits allocate nothing", World, kernel_kept, engine_kept) {
    World world;
    typename World::timer t{world.executor()};
    std::uint64_t before = 0;
    const auto waits = [](auto& timer, std::uint64_t& mark) -> task {
      for (int i = 0; i < 300; ++i) {
        if (i == 20) mark = heap_allocations();
        co_await timer;
      }
      mark = heap_allocations() - mark;
    };
    t.expires_every(100us);
    const task all = waits(t, before);
    world.until([&] { return all.is_done(); });
    CHECK(before == 0);
  }
}

// Each on a strand of its own, which two threads run: some are cancelled or destroyed in the nick of
// time, and what they did not take is there for whoever comes next.
TEST_CASE("native waits on strands lose nothing beside cancels, destruction and other threads") {
  asio::io_context context;
  struct member {
    explicit member(asio::io_context& c, bool engine)
        : strand{c.get_executor()},
          kept{engine ? nullptr : new chime::timerfd<monotonic_clock>{strand}},
          engine_kept{engine ? new engine_timer{strand} : nullptr} {}
    strand_type strand;
    std::unique_ptr<chime::timerfd<monotonic_clock>> kept;
    std::unique_ptr<engine_timer> engine_kept;
    record<engine_timer::expiry_type> seen;
    std::vector<task> waits;
    monotonic_clock::time_point first;
  };
  std::vector<std::unique_ptr<member>> members;
  for (int i = 0; i < 20; ++i) members.push_back(std::make_unique<member>(context, i % 2 == 0));
  constexpr auto interval = 50us;
  const auto step = [](auto& timer, member& m, int i) {
    m.waits.push_back(wait_once(timer, m.seen));
    if (i % 3 == 1) timer.cancel();
    if (i % 3 == 2) m.waits.back().destroy();
    if (i % 3 == 2) m.waits.pop_back();
  };
  for (auto& m : members) {
    asio::post(m->strand, [&, m = m.get()] {
      m->first = monotonic_clock::now() + interval;
      const auto setting = engine_timer::setting_type::at(m->first, interval);
      if (m->kept) m->kept->set(setting);
      if (m->engine_kept) m->engine_kept->set(setting);
    });
    for (int i = 0; i < 300; ++i)
      asio::post(m->strand, [&, m = m.get(), i] {
        if (m->kept) step(*m->kept, *m, i);
        if (m->engine_kept) step(*m->engine_kept, *m, i);
      });
  }
  std::thread other{[&] { context.run(); }};
  context.run();
  other.join();
  for (auto& m : members) {
    for (const task& wait : m->waits) CHECK(wait.is_done());
    if (m->seen.expirations == 0) continue;
    const auto finish = [&](auto& timer) {
      error_code ec;
      m->waits.clear();
      if (const auto rest = timer.try_take(ec)) {
        m->seen.expirations += rest->expirations;
        CHECK(rest->scheduled ==
              m->first + static_cast<std::int64_t>(m->seen.expirations - 1) * interval);
      }
    };
    if (m->kept) finish(*m->kept);
    if (m->engine_kept) finish(*m->engine_kept);
    CHECK(m->seen.waits >= 100);
  }
}
