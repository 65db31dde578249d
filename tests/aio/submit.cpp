// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What an AIO context does with what it is given: results, order, room, cancellation, the end.
#include "support/aio.hpp"
#include "support/asio.hpp"
#include "support/cpu_seconds.hpp"
#include "support/in_child.hpp"
#include "support/kernel_timerfd.hpp"
#include "support/no_leak.hpp"

#include <chime/aio_context.hpp>

#include <doctest/doctest.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

namespace asio = boost::asio;
using chime::aio_context;
using chime::aio_events;
using chime::aio_operation;
using chime::aio_result;
using chime::error_code;
using support::run_out;
using support::run_until;

class no_leaks : support::no_leak, support::no_aio_leak {};

const error_code aborted = asio::error::operation_aborted;
error_code errno_code(int n) { return {n, boost::system::system_category()}; }

struct outcome {
  int calls = 0;
  error_code error;
  std::size_t value = 0;

  auto handler() {
    return [this](error_code ec, std::size_t n) {
      ++calls;
      error = ec;
      value = n;
    };
  }
};

struct batch_outcome {
  int calls = 0;
  error_code error;
  std::vector<aio_result> results;

  auto handler() {
    return [this](error_code ec, std::vector<aio_result> r) {
      ++calls;
      error = ec;
      results = std::move(r);
    };
  }
};

/// Waits for a timer, for as long as one likes.
aio_operation wait_for(const chime::shim::descriptor& timer) {
  return aio_operation::poll(timer.get(), aio_events::readable);
}

}  // namespace

TEST_CASE_FIXTURE(no_leaks, "each operation does what it is called after") {
  asio::io_context context;
  aio_context aio{context};
  const auto file = support::temporary_file("hello world");
  const auto value_of = [&](const aio_operation& op) {
    outcome o;
    aio.async_submit(op, o.handler());
    run_out(context);
    CHECK_EQ(o.calls, 1);
    CHECK_EQ(o.error, error_code{});
    return o.value;
  };
  std::array<char, 5> word{};
  CHECK_EQ(value_of(aio_operation::read(file.get(), asio::buffer(word), 6)), 5);
  CHECK_EQ(std::string(word.data(), 5), "world");
  CHECK_EQ(value_of(aio_operation::write(file.get(), asio::const_buffer("WORLD!", 6), 6)), 6);
  std::array<char, 3> one{};
  std::array<char, 4> two{};
  const chime::aio_buffer parts[] = {{one.data(), 3}, {two.data(), 4}};
  CHECK_EQ(value_of(aio_operation::read(file.get(), parts, 5)), 7);
  CHECK_EQ(std::string(one.data(), 3), " WO");
  CHECK_EQ(std::string(two.data(), 4), "RLD!");
  CHECK_EQ(value_of(aio_operation::write(file.get(), parts, 0)), 7);
  CHECK_EQ(value_of(aio_operation::sync(file.get())), 0);
  CHECK_EQ(value_of(aio_operation::sync_data(file.get())), 0);
  aio_operation idle = aio_operation::read(file.get(), asio::buffer(word), 0);
  idle.priority = chime::aio_priority::idle();
  CHECK_EQ(value_of(idle), 5);
  CHECK_EQ(std::string(word.data(), 5), " WORL");
  const auto timer = support::expired_timer();
  CHECK_EQ(value_of(wait_for(timer)), static_cast<std::size_t>(aio_events::readable));
  CHECK_EQ(support::take(timer), 1);  // a poll takes nothing
}

TEST_CASE_FIXTURE(no_leaks, "errors are errno's, whether found on submission or later") {
  asio::io_context context;
  aio_context aio{context};
  const auto file = support::temporary_file("hello");
  const auto error_of = [&](const aio_operation& op) {
    outcome o;
    aio.async_submit(op, o.handler());
    CHECK_EQ(o.calls, 0);
    run_out(context);
    CHECK_EQ(o.calls, 1);
    return o.error;
  };
  std::array<char, 8> buffer{};
  CHECK_EQ(error_of(aio_operation::read(-1, asio::buffer(buffer), 0)), errno_code(EBADF));
  CHECK_EQ(error_of(aio_operation::read(file.get(), asio::buffer(buffer), -1)), errno_code(EINVAL));
  CHECK_EQ(error_of(aio_operation::read(file.get(), reinterpret_cast<void*>(8), 1, 0)),
           errno_code(EFAULT));
  aio_operation odd = aio_operation::read(file.get(), asio::buffer(buffer), 0);
  odd.rw_flags = 1 << 30;
  CHECK_EQ(error_of(odd), errno_code(EOPNOTSUPP));
  const auto timer = support::far_off_timer();
  CHECK_EQ(error_of(aio_operation::sync(timer.get())), errno_code(EINVAL));
}

TEST_CASE_FIXTURE(no_leaks, "a capacity that the kernel refuses is its errno") {
  asio::io_context context;
  error_code ec;
  const aio_context none{context, 0, ec};
  CHECK_EQ(ec, errno_code(EINVAL));
  CHECK_FALSE(none.is_open());
  CHECK_EQ(none.capacity(), 0);
  CHECK_THROWS_AS((aio_context{context, 0}), chime::system_error);
  const aio_context fine{context, 7, ec};
  CHECK_FALSE(ec);
  CHECK_EQ(fine.capacity(), 7);
}

TEST_CASE_FIXTURE(no_leaks, "a batch: results in its order, each with its own error, one handler") {
  asio::io_context context;
  aio_context aio{context, 2};  // less than the batch
  const auto file = support::temporary_file("0123456789");
  std::array<char, 4> a{}, b{};
  const auto timer = support::make_timer();
  const std::vector<aio_operation> ops{
      wait_for(timer),
      aio_operation::read(file.get(), asio::buffer(a), 0),
      aio_operation::read(-1, asio::buffer(a), 0),
      aio_operation::read(file.get(), asio::buffer(b), 7),
      aio_operation::sync(-7),
      aio_operation::sync(file.get()),
  };
  batch_outcome o;
  aio.async_submit(ops, o.handler());
  context.poll();
  CHECK_EQ(o.calls, 0);  // the timer
  support::arm(timer, support::abstime, support::nanoseconds{1});
  run_until(context, [&] { return o.calls == 1; });
  CHECK_FALSE(o.error);
  REQUIRE_EQ(o.results.size(), ops.size());
  CHECK_EQ(o.results[0].events(), aio_events::readable);
  CHECK_EQ(o.results[1].value, 4);
  CHECK_EQ(o.results[2].error, errno_code(EBADF));
  CHECK_EQ(o.results[3].value, 3);
  CHECK_EQ(o.results[4].error, errno_code(EBADF));
  CHECK_FALSE(o.results[5].error);
  CHECK_EQ(std::string(a.data(), 4), "0123");
  CHECK_EQ(std::string(b.data(), 3), "789");
}

TEST_CASE_FIXTURE(no_leaks, "a batch of none completes, later") {
  asio::io_context context;
  aio_context aio{context};
  batch_outcome o;
  aio.async_submit(std::span<const aio_operation>{}, o.handler());
  CHECK_EQ(o.calls, 0);
  run_out(context);
  CHECK_EQ(o.calls, 1);
  CHECK_FALSE(o.error);
}

TEST_CASE_FIXTURE(no_leaks,
                  "what there is no room for waits in line, in order, and nothing is dropped") {
  asio::io_context context;
  aio_context aio{context, 4};
  std::vector<chime::shim::descriptor> timers;
  std::vector<int> order;
  for (int i = 0; i < 40; ++i) {
    timers.push_back(support::make_timer());
    aio.async_submit(wait_for(timers.back()), [&order, i](error_code ec, std::size_t) {
      CHECK_FALSE(ec);
      order.push_back(i);
    });
  }
  context.poll();
  // All are due but the first four: nobody overtakes those.
  for (std::size_t i = 4; i < timers.size(); ++i)
    support::arm(timers[i], support::abstime, support::nanoseconds{1});
  context.poll();
  CHECK(order.empty());
  for (std::size_t i = 0; i < 4; ++i)
    support::arm(timers[i], support::abstime, support::nanoseconds{1});
  run_out(context);
  REQUIRE_EQ(order.size(), timers.size());
  for (int i = 4; i < 40; ++i) CHECK_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST_CASE_FIXTURE(no_leaks,
                  "cancelled: a poll in flight and one in line are aborted, the rest goes on") {
  asio::io_context context;
  aio_context aio{context, 2};
  const auto timer = support::make_timer();
  std::array<asio::cancellation_signal, 4> signal;
  std::array<outcome, 4> o;
  for (std::size_t i = 0; i < 4; ++i)
    aio.async_submit(wait_for(timer),
                     asio::bind_cancellation_slot(signal[i].slot(), o[i].handler()));
  signal[0].emit(asio::cancellation_type::total);    // in flight
  signal[3].emit(asio::cancellation_type::partial);  // in line
  signal[2].emit(asio::cancellation_type::none);
  CHECK_EQ(o[3].calls, 0);
  run_until(context, [&] { return o[0].calls && o[3].calls; });
  CHECK_EQ(o[0].error, aborted);
  CHECK_EQ(o[3].error, aborted);
  CHECK_EQ(o[1].calls, 0);
  CHECK_EQ(o[2].calls, 0);
  signal[0].emit(asio::cancellation_type::all);  // it is over
  support::arm(timer, support::abstime, support::nanoseconds{1});
  run_out(context);
  for (const auto i : {1U, 2U}) {
    CHECK_EQ(o[i].calls, 1);
    CHECK_FALSE(o[i].error);
  }
}

TEST_CASE_FIXTURE(no_leaks, "cancelled one by one, newest first, each costs no search for it") {
  const auto cost_of_one = [](std::size_t count) {
    asio::io_context context;
    aio_context aio{context, 2};
    const auto timer = support::far_off_timer();
    std::deque<asio::cancellation_signal> signals(count);
    std::size_t aborts = 0;
    for (auto& s : signals)
      aio.async_submit(wait_for(timer),
                       asio::bind_cancellation_slot(s.slot(), [&](error_code ec, std::size_t) {
                         aborts += ec == aborted ? 1U : 0U;
                       }));
    const double seconds = support::cpu_seconds([&] {
      while (!signals.empty()) {
        signals.back().emit(asio::cancellation_type::all);
        signals.pop_back();
      }
    });
    run_out(context);
    CHECK_EQ(aborts, count);
    return seconds / static_cast<double>(count);
  };
  // 20 times as long by a search through all.
  CHECK_LT(cost_of_one(20'000), 6 * cost_of_one(1'000));
}

TEST_CASE_FIXTURE(no_leaks, "cancelled: what the kernel cannot cancel completes with what it did") {
  asio::io_context context;
  aio_context aio{context};
  const auto file = support::temporary_file("hello");
  asio::cancellation_signal signal;
  outcome o;
  aio.async_submit(aio_operation::sync(file.get()),
                   asio::bind_cancellation_slot(signal.slot(), o.handler()));
  signal.emit(asio::cancellation_type::all);
  run_out(context);
  CHECK_EQ(o.calls, 1);
  CHECK_FALSE(o.error);
}

TEST_CASE_FIXTURE(no_leaks, "cancelled too late: a poll that was ready says so") {
  asio::io_context context;
  aio_context aio{context};
  const auto timer = support::make_timer();
  asio::cancellation_signal signal;
  outcome o;
  aio.async_submit(wait_for(timer), asio::bind_cancellation_slot(signal.slot(), o.handler()));
  support::arm(timer, support::abstime, support::nanoseconds{1});
  REQUIRE(support::becomes_readable(timer));
  signal.emit(asio::cancellation_type::all);
  run_out(context);
  CHECK_FALSE(o.error);
  CHECK_EQ(o.value, 1);
}

TEST_CASE_FIXTURE(no_leaks, "cancelling a batch ends what can be ended, and the error says so") {
  asio::io_context context;
  aio_context aio{context};
  const auto file = support::temporary_file("hello");
  const auto timer = support::far_off_timer();
  std::array<char, 5> word{};
  const std::array ops{wait_for(timer), aio_operation::read(file.get(), asio::buffer(word), 0),
                       wait_for(timer)};
  asio::cancellation_signal signal;
  batch_outcome o;
  aio.async_submit(ops, asio::bind_cancellation_slot(signal.slot(), o.handler()));
  signal.emit(asio::cancellation_type::terminal);
  run_out(context);
  CHECK_EQ(o.calls, 1);
  CHECK_EQ(o.error, aborted);
  REQUIRE_EQ(o.results.size(), 3);
  CHECK_EQ(o.results[0].error, aborted);
  CHECK_FALSE(o.results[1].error);
  CHECK_EQ(o.results[1].value, 5);
  CHECK_EQ(o.results[2].error, aborted);
}

TEST_CASE_FIXTURE(no_leaks,
                  "cancel() is for all that is outstanding, and for nothing that comes later") {
  asio::io_context context;
  aio_context aio{context, 2};
  const auto timer = support::make_timer();
  std::array<outcome, 5> o;
  for (auto& each : o) aio.async_submit(wait_for(timer), each.handler());
  aio.cancel();
  outcome later;
  aio.async_submit(wait_for(timer), later.handler());
  run_until(context,
            [&] { return o[0].calls + o[1].calls + o[2].calls + o[3].calls + o[4].calls == 5; });
  for (const auto& each : o) CHECK_EQ(each.error, aborted);
  CHECK_EQ(later.calls, 0);
  support::arm(timer, support::abstime, support::nanoseconds{1});
  run_out(context);
  CHECK_FALSE(later.error);
}

TEST_CASE_FIXTURE(no_leaks,
                  "closed with operations in flight: none is in flight any more, each completes") {
  asio::io_context context;
  const auto file = support::temporary_file("hello");
  const auto timer = support::far_off_timer();
  std::array<outcome, 6> o;
  {
    aio_context aio{context, 3};
    for (std::size_t i = 0; i < 5; ++i)
      aio.async_submit(i == 1 ? aio_operation::sync(file.get()) : wait_for(timer), o[i].handler());
    aio_context moved{std::move(aio)};
    CHECK_FALSE(aio.is_open());
    aio.async_submit(wait_for(timer), o[5].handler());
  }
  for (const auto& each : o) CHECK_EQ(each.calls, 0);  // not from within the destructor
  run_out(context);
  for (const auto& each : o) CHECK_EQ(each.calls, 1);
  CHECK_EQ(o[0].error, aborted);
  CHECK_FALSE(o[1].error);
  CHECK_EQ(o[4].error, aborted);
  CHECK_EQ(o[5].error, errno_code(EBADF));
}

TEST_CASE_FIXTURE(no_leaks, "a batch at a closed context: a result for each") {
  asio::io_context context;
  aio_context aio{context};
  aio.close();
  aio.close();
  aio.cancel();
  const std::array<aio_operation, 2> ops{};
  batch_outcome o;
  aio.async_submit(ops, o.handler());
  run_out(context);
  CHECK_EQ(o.error, errno_code(EBADF));
  REQUIRE_EQ(o.results.size(), 2);
  CHECK_EQ(o.results[1].error, errno_code(EBADF));
}

TEST_CASE_FIXTURE(no_leaks, "an execution context that goes takes along what is outstanding") {
  const auto timer = support::far_off_timer();
  const auto alive = std::make_shared<int>();
  std::optional<asio::io_context> context{std::in_place};
  // The object lives in the handler of its own operation, as in a coroutine.
  auto aio = std::make_shared<aio_context>(*context, 2);
  for (int i = 0; i < 4; ++i)
    aio->async_submit(wait_for(timer), [aio, alive](error_code, std::size_t) { FAIL("called"); });
  aio.reset();
  context->poll();
  CHECK_EQ(alive.use_count(), 5);
  context.reset();
  CHECK_EQ(alive.use_count(), 1);
}

namespace {

asio::awaitable<void> results(aio_context& aio, int file) {
  std::array<char, 16> text{};
  CHECK_EQ(co_await aio.async_submit(aio_operation::read(file, asio::buffer(text), 0)), 5);
  const std::array ops{aio_operation::sync(file), aio_operation::sync(-1)};
  const auto each = co_await aio.async_submit(ops);
  CHECK_FALSE(each[0].error);
  CHECK(each[1].error);
}

asio::awaitable<void> race(aio_context& aio, int file, int timer) {
  using namespace asio::experimental::awaitable_operators;
  const auto wait = aio_operation::poll(timer, aio_events::readable);
  const auto first = co_await (aio.async_submit(wait, asio::use_awaitable) ||
                               aio.async_submit(aio_operation::sync(file), asio::use_awaitable));
  CHECK_EQ(first.index(), 1);
}

asio::awaitable<void> program(aio_context& aio, int file, int timer, bool& done) {
  co_await results(aio, file);
  const auto [ec, n] =
      co_await aio.async_submit(aio_operation::sync(-1), asio::as_tuple(asio::use_awaitable));
  CHECK_EQ(ec, errno_code(EBADF));
  co_await race(aio, file, timer);
  done = true;
}

}  // namespace

TEST_CASE_FIXTURE(no_leaks, "coroutines, and races of two") {
  asio::io_context context;
  aio_context aio{context};
  const auto file = support::temporary_file("hello");
  const auto timer = support::far_off_timer();
  bool done = false;
  asio::co_spawn(context, program(aio, file.get(), timer.get(), done), asio::detached);
  run_out(context);
  CHECK(done);
}

TEST_CASE_FIXTURE(
    no_leaks, "after a fork the child's context is of no use, and does no harm to the parent's") {
  asio::io_context context;
  aio_context aio{context};
  const auto timer = support::make_timer();
  outcome o;
  aio.async_submit(wait_for(timer), o.handler());
  context.poll();
  context.notify_fork(asio::execution_context::fork_prepare);
  const int said = support::in_child([&] {
    context.notify_fork(asio::execution_context::fork_child);
    outcome here;
    aio.async_submit(wait_for(timer), here.handler());
    context.poll();
    if (here.calls != 1 || here.error != errno_code(EINVAL)) return 1;
    aio.close();
    context.poll();
    return o.calls == 1 && o.error == aborted ? 0 : 2;
  });
  context.notify_fork(asio::execution_context::fork_parent);
  CHECK_EQ(said, 0);
  support::arm(timer, support::abstime, support::nanoseconds{1});
  run_out(context);
  CHECK_EQ(o.calls, 1);
  CHECK_FALSE(o.error);
}
