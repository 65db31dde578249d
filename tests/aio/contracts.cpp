// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What Asio asks of an asynchronous operation, of async_submit: where the handler runs, when, what work is
// counted, where its memory comes from and when that is given back.
#include "support/aio.hpp"
#include "support/asio.hpp"
#include "support/kernel_timerfd.hpp"
#include "support/no_leak.hpp"
#include "support/tracking.hpp"

#include <chime/aio_context.hpp>

#include <doctest/doctest.h>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using chime::aio_operation;
using chime::aio_result;
using chime::error_code;
using support::executor_log;
using support::initiation_guard;
using support::memory_log;
using support::run_out;
using support::tracking_allocator;
using support::tracking_executor;

class no_leaks : support::no_leak, support::no_aio_leak {};

// The ways in which an operation comes to its end.
enum class way { at_once, later, refused, cancelled, cancelled_in_line, closed, many, last };

template <class Aio, class Handler>
void complete(way how, asio::io_context& context, Aio& aio, Handler handler) {
  const auto timer = support::make_timer();
  const auto wait = aio_operation::poll(timer.get(), chime::aio_events::readable);
  const auto begin = [&](const auto& what, auto token) {
    const initiation_guard guard;
    aio.async_submit(what, std::move(token));
  };
  context.restart();
  switch (how) {
    case way::at_once:
      support::arm(timer, support::abstime, support::nanoseconds{1});
      REQUIRE(support::becomes_readable(timer));
      begin(wait, handler);
      break;
    case way::later:
      begin(wait, handler);
      context.poll();
      support::arm(timer, support::relative, std::chrono::microseconds{50});
      break;
    case way::refused: begin(aio_operation::sync(-1), handler); break;
    case way::cancelled:
      begin(wait, handler);
      aio.cancel();
      break;
    case way::cancelled_in_line:
      for (unsigned i = 0; i < aio.capacity(); ++i) begin(wait, [](error_code, auto&&...) {});
      begin(wait, handler);
      aio.cancel();
      break;
    case way::closed: {
      Aio other{aio.get_executor(), 4};
      other.async_submit(wait, handler);
      break;
    }
    case way::many: {
      const std::array<aio_operation, 3> three{aio_operation::sync(-1), wait, wait};
      begin(three, handler);
      support::arm(timer, support::relative, std::chrono::microseconds{50});
      break;
    }
    case way::last: break;
  }
  run_out(context);
}

template <class Function>
void for_each_way(Function f) {
  for (int how = 0; how < static_cast<int>(way::last); ++how) {
    CAPTURE(how);
    f(static_cast<way>(how));
  }
}

}  // namespace

TEST_CASE_FIXTURE(no_leaks, "a handler is never called from within async_submit") {
  for_each_way([](way how) {
    asio::io_context context;
    chime::aio_context aio{context, 4};
    int calls = 0;
    complete(how, context, aio, [&](error_code, auto&&...) {
      ++calls;
      CHECK_FALSE(initiation_guard::is_initiating());
    });
    CHECK_EQ(calls, 1);
  });
}

TEST_CASE_FIXTURE(
    no_leaks, "a handler without an executor of its own runs on the context's, which counts work") {
  for_each_way([](way how) {
    asio::io_context context;
    executor_log log;
    chime::basic_aio_context<tracking_executor> typed{tracking_executor{context, log}, 4};
    chime::aio_context erased{tracking_executor{context, log}, 4};
    CHECK_EQ(log.work, 0);
    int calls = 0;
    const auto handler = [&](error_code, auto&&...) {
      ++calls;
      CHECK(log.is_running());
    };
    complete(how, context, typed, handler);
    complete(how, context, erased, handler);
    CHECK_EQ(calls, 2);
    CHECK_GE(log.most_work, 1);
    CHECK_EQ(log.work, 0);
  });
}

TEST_CASE_FIXTURE(no_leaks,
                  "a handler runs on its own executor, and work is counted on both meanwhile") {
  for_each_way([](way how) {
    asio::io_context context;
    executor_log io;
    executor_log own;
    chime::aio_context aio{tracking_executor{context, io}, 4};
    int calls = 0;
    complete(how, context, aio,
             asio::bind_executor(tracking_executor{context, own}, [&](error_code, auto&&...) {
               ++calls;
               CHECK(own.is_running());
               CHECK_FALSE(io.is_running());
             }));
    CHECK_EQ(calls, 1);
    CHECK_GE(own.most_work, 1);
    CHECK_GE(io.most_work, 1);
    CHECK_EQ(own.work, 0);
    CHECK_EQ(io.work, 0);
  });
}

TEST_CASE_FIXTURE(no_leaks,
                  "memory comes from the handler's allocator and is back before the handler runs") {
  for_each_way([](way how) {
    asio::io_context context;
    chime::aio_context aio{context, 4};
    memory_log memory;
    int calls = 0;
    complete(how, context, aio,
             asio::bind_allocator(tracking_allocator<int>{memory}, [&](error_code, auto&&...) {
               ++calls;
               CHECK_EQ(memory.outstanding, 0);
             }));
    CHECK_EQ(calls, 1);
    CHECK_GE(memory.allocations, 1);
    CHECK_EQ(memory.outstanding, 0);
  });
}

TEST_CASE_FIXTURE(no_leaks,
                  "a context stays at work while an operation is outstanding, and no longer") {
  asio::io_context context;
  chime::aio_context aio{context, 1};
  const auto timer = support::make_timer();
  const auto wait = aio_operation::poll(timer.get(), chime::aio_events::readable);
  context.poll();
  CHECK(context.stopped());
  int calls = 0;
  for (int i = 0; i < 2; ++i) aio.async_submit(wait, [&](error_code, std::size_t) { ++calls; });
  context.restart();
  context.poll();
  CHECK_FALSE(context.stopped());
  support::arm(timer, support::abstime, support::nanoseconds{1});
  run_out(context);
  CHECK_EQ(calls, 2);
}

TEST_CASE_FIXTURE(no_leaks, "a handler that throws loses nobody else's") {
  asio::io_context context;
  chime::aio_context aio{context, 2};
  const auto ready = support::expired_timer();
  int calls = 0;
  for (int i = 0; i < 6; ++i)
    aio.async_submit(aio_operation::poll(ready.get(), chime::aio_events::readable),
                     [&, i](error_code, std::size_t) {
                       ++calls;
                       if (i == 1) throw std::runtime_error{"a handler's own"};
                     });
  CHECK_THROWS_AS(context.run(), std::runtime_error);
  run_out(context);
  CHECK_EQ(calls, 6);
}

TEST_CASE_FIXTURE(no_leaks, "a handler may submit again, close the context, or destroy it") {
  asio::io_context context;
  std::optional<chime::aio_context> aio{std::in_place, context, 2U};
  const auto ready = support::expired_timer();
  const auto wait = aio_operation::poll(ready.get(), chime::aio_events::readable);
  int calls = 0;
  aio->async_submit(wait, [&](error_code, std::size_t) {
    ++calls;
    aio->async_submit(wait, [&](error_code, std::size_t) {
      ++calls;
      aio->close();
      aio.reset();
    });
  });
  run_out(context);
  CHECK_EQ(calls, 2);
}

TEST_CASE_FIXTURE(no_leaks, "on a strand everything runs in it") {
  asio::io_context context;
  const auto strand = asio::make_strand(context);
  chime::basic_aio_context<asio::strand<asio::io_context::executor_type>> aio{strand, 2};
  const auto ready = support::expired_timer();
  int calls = 0;
  for (int i = 0; i < 5; ++i)
    aio.async_submit(aio_operation::poll(ready.get(), chime::aio_events::readable),
                     [&](error_code, std::size_t) {
                       ++calls;
                       CHECK(strand.running_in_this_thread());
                     });
  run_out(context);
  CHECK_EQ(calls, 5);
}
