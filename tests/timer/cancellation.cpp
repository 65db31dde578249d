// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Cancellation through slots: total, at whatever stage the wait is. W3 throughout.
#include "support/asio.hpp"
#include "support/on_its_way.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::cancellation_type;
using chime::error_code;
using support::make_due;
using support::run_out;

using timer = chime::timerfd<chime::monotonic_clock>;
using setting = timer::setting_type;
using outcome = support::outcome<chime::monotonic_clock>;

constexpr std::array types{cancellation_type::terminal, cancellation_type::partial,
                           cancellation_type::total, cancellation_type::all};

template <class Handler>
auto cancelled_by(asio::cancellation_signal& signal, Handler handler) {
  return asio::bind_cancellation_slot(signal.slot(), std::move(handler));
}

void check_aborted(const outcome& seen) {
  CHECK(seen.calls == 1);
  CHECK(seen.error == asio::error::operation_aborted);
  CHECK(seen.error != chime::error::clock_was_set());
  CHECK(seen.expiry.expirations == 0);
}

// The timer has one expiration pending that nobody has taken, and gives it to the next wait.
void check_nothing_lost(asio::io_context& context, timer& t) {
  outcome next;
  t.async_wait(next.handler());
  run_out(context);
  CHECK(next.calls == 1);
  CHECK_FALSE(next.error);
  CHECK(next.expiry.expirations == 1);
  CHECK(next.expiry.scheduled == timer::time_point{1ns});
}

}  // namespace

TEST_CASE("W3 a wait that stands at the kernel is cancelled by each type, and loses nothing") {
  for (const auto type : types) {
    asio::io_context context;
    timer t{context};
    asio::cancellation_signal signal;
    outcome seen;
    t.expires_after(1h);
    t.async_wait(cancelled_by(signal, seen.handler()));
    context.poll();
    CHECK(seen.calls == 0);
    signal.emit(type);
    CHECK(seen.calls == 0);  // not inline
    run_out(context);
    check_aborted(seen);
    CHECK(t.get().is_armed());
    make_due(t);
    check_nothing_lost(context, t);
  }
}

TEST_CASE("W3 a wait in line is cancelled by each type, and those round it go on in order") {
  for (const auto type : types) {
    asio::io_context context;
    timer t{context};
    asio::cancellation_signal signal;
    std::array<outcome, 4> seen;
    t.async_wait(seen[0].handler());
    t.async_wait(seen[1].handler());
    t.async_wait(cancelled_by(signal, seen[2].handler()));
    t.async_wait(seen[3].handler());
    context.poll();
    signal.emit(type);
    CHECK(seen[2].calls == 0);
    support::run_until(context, [&] { return seen[2].calls == 1; });
    check_aborted(seen[2]);
    for (const std::size_t next : {0U, 1U, 3U}) {
      CHECK(seen[next].calls == 0);
      t.expires_after(1us);
      support::run_until(context, [&] { return seen[next].calls == 1; });
      CHECK_FALSE(seen[next].error);
      CHECK(seen[next].expiry.expirations == 1);
    }
  }
}

TEST_CASE("W3 a wait whose turn has come but that has not begun yet is cancelled by each type") {
  for (const auto type : types) {
    asio::io_context context;
    timer t{context};
    asio::cancellation_signal first_signal;
    asio::cancellation_signal second_signal;
    outcome first;
    outcome second;
    t.async_wait(cancelled_by(first_signal, first.handler()));
    t.async_wait(cancelled_by(second_signal, second.handler()));
    context.poll();
    first_signal.emit(type);
    // Run no further than the first handler: it has handed the turn on.
    support::run_until(context, [&] { return first.calls == 1; });
    check_aborted(first);
    CHECK(second.calls == 0);
    make_due(t);
    second_signal.emit(type);
    run_out(context);
    check_aborted(second);
    CHECK(t.is_ready());
    check_nothing_lost(context, t);
  }
}

TEST_CASE("W3 a wait that is cancelled while its completion is on its way takes nothing either") {
  for (const auto type : types) {
    asio::io_context context;
    timer t{context};
    asio::cancellation_signal signal;
    outcome seen;
    outcome next;
    support::on_its_way way;
    t.async_wait(cancelled_by(signal, way.bind(seen.handler())));
    t.async_wait(next.handler());
    context.poll();
    way.make_ready(context, t);
    signal.emit(type);
    way.arrive();
    check_aborted(seen);
    run_out(context);
    CHECK(next.calls == 1);
    CHECK_FALSE(next.error);
    CHECK(next.expiry.expirations == 1);
    CHECK(next.expiry.scheduled == timer::time_point{1ns});
  }
}

TEST_CASE("W3 a wait that was woken in vain, and goes back to wait, is cancelled by each type") {
  for (const auto type : types) {
    for (const bool at_the_kernel : {false, true}) {
      asio::io_context context;
      timer t{context};
      asio::cancellation_signal signal;
      outcome seen;
      support::on_its_way way;
      t.async_wait(cancelled_by(signal, way.bind(seen.handler())));
      context.poll();
      way.make_ready(context, t);
      t.expires_after(1h);
      if (at_the_kernel) way.arrive();
      CHECK(seen.calls == 0);
      signal.emit(type);
      context.restart();
      context.poll();
      way.arrive();
      check_aborted(seen);
      CHECK(t.get().is_armed());
    }
  }
}

TEST_CASE("W3 a wait that is cancelled at once, before anything has run, takes nothing") {
  asio::io_context context;
  timer t{context};
  asio::cancellation_signal signal;
  outcome first;
  outcome second;
  t.async_wait(cancelled_by(signal, first.handler()));
  signal.emit(cancellation_type::total);
  asio::cancellation_signal other;
  t.async_wait(cancelled_by(other, second.handler()));
  other.emit(cancellation_type::total);
  run_out(context);
  check_aborted(first);
  check_aborted(second);
}

TEST_CASE("cancellation of type none does nothing") {
  asio::io_context context;
  timer t{context};
  asio::cancellation_signal signal;
  outcome seen;
  t.async_wait(cancelled_by(signal, seen.handler()));
  signal.emit(cancellation_type::none);
  context.poll();
  CHECK(seen.calls == 0);
  t.expires_after(1us);
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK_FALSE(seen.error);
}

TEST_CASE("emitting twice completes a wait once") {
  asio::io_context context;
  timer t{context};
  std::array<asio::cancellation_signal, 2> signals;
  std::array<outcome, 2> seen;
  for (std::size_t i = 0; i < 2; ++i) t.async_wait(cancelled_by(signals[i], seen[i].handler()));
  context.poll();
  for (auto& signal : signals) {
    signal.emit(cancellation_type::total);
    signal.emit(cancellation_type::terminal);
  }
  run_out(context);
  for (const auto& one : seen) check_aborted(one);
}

TEST_CASE("emitting after the completion harms nobody: neither the next wait nor the timer") {
  asio::io_context context;
  timer t{context};
  asio::cancellation_signal signal;
  outcome first;
  outcome second;
  t.expires_after(1us);
  t.async_wait(cancelled_by(signal, first.handler()));
  t.async_wait(second.handler());
  support::run_until(context, [&] { return first.calls == 1; });
  signal.emit(cancellation_type::total);
  context.poll();
  signal.emit(cancellation_type::total);
  CHECK(second.calls == 0);
  t.expires_after(1us);
  run_out(context);
  CHECK(second.calls == 1);
  CHECK_FALSE(second.error);
  signal.emit(cancellation_type::total);
  make_due(t);
  check_nothing_lost(context, t);
}

TEST_CASE("emitting after the timer is destroyed, closed or released harms nobody") {
  asio::io_context context;
  for (int way = 0; way < 3; ++way) {
    std::array<asio::cancellation_signal, 2> signals;
    std::array<outcome, 2> seen;
    {
      std::optional<timer> t{context};
      for (std::size_t i = 0; i < 2; ++i)
        t->async_wait(cancelled_by(signals[i], seen[i].handler()));
      context.restart();
      context.poll();
      chime::shim::descriptor released;
      if (way == 0)
        t.reset();
      else if (way == 1)
        t->close();
      else
        released = chime::shim::descriptor{t->release()};
      for (auto& signal : signals) signal.emit(cancellation_type::total);  // aborted, not completed
      run_out(context);
      for (const auto& one : seen) check_aborted(one);
    }
    for (auto& signal : signals) signal.emit(cancellation_type::total);
    run_out(context);
    for (const auto& one : seen) CHECK(one.calls == 1);
  }
}

TEST_CASE("emitting after the context is destroyed harms nobody") {
  asio::cancellation_signal signal;
  outcome seen;
  {
    asio::io_context context;
    timer t{context};
    t.async_wait(cancelled_by(signal, seen.handler()));
    context.poll();
  }
  signal.emit(cancellation_type::total);
  CHECK(seen.calls == 0);
}

TEST_CASE("one slot serves one wait after the other") {
  asio::io_context context;
  timer t{context};
  asio::cancellation_signal signal;
  for (int i = 0; i < 3; ++i) {
    outcome completes;
    t.expires_after(1us);
    t.async_wait(cancelled_by(signal, completes.handler()));
    run_out(context);
    CHECK(completes.calls == 1);
    CHECK_FALSE(completes.error);
    outcome aborts;
    t.async_wait(cancelled_by(signal, aborts.handler()));
    signal.emit(cancellation_type::partial);
    run_out(context);
    check_aborted(aborts);
  }
}

TEST_CASE("a wait on a closed timer may be cancelled: it fails all the same") {
  asio::io_context context;
  timer t{context};
  t.close();
  asio::cancellation_signal signal;
  outcome seen;
  t.async_wait(cancelled_by(signal, seen.handler()));
  signal.emit(cancellation_type::total);
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK(seen.error == asio::error::bad_descriptor);
}

TEST_CASE("a handler may emit, for the others in line and for itself") {
  asio::io_context context;
  timer t{context};
  std::array<asio::cancellation_signal, 3> signals;
  std::array<outcome, 3> seen;
  t.async_wait(cancelled_by(signals[0], [&](error_code ec, timer::expiry_type) {
    CHECK_FALSE(ec);
    ++seen[0].calls;
    for (auto& signal : signals) signal.emit(cancellation_type::total);
  }));
  for (std::size_t i = 1; i < 3; ++i) t.async_wait(cancelled_by(signals[i], seen[i].handler()));
  t.expires_after(1us);
  run_out(context);
  CHECK(seen[0].calls == 1);
  check_aborted(seen[1]);
  check_aborted(seen[2]);
}

TEST_CASE("a slot's storage is reused: nothing of a wait that is over is kept alive by it") {
  asio::io_context context;
  asio::cancellation_signal signal;
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = owned;
  {
    timer t{context};
    t.expires_after(1us);
    t.async_wait(
        cancelled_by(signal, [owned = std::move(owned)](error_code, timer::expiry_type) {}));
    run_out(context);
  }
  CHECK(watch.expired());
}
