// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What Asio asks of an asynchronous operation: where the handler runs, when it runs, what work is
// counted, and where its memory comes from and when it is given back.
#include "heap.hpp"
#include "support/asio.hpp"
#include "support/on_its_way.hpp"
#include "support/tracking.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <cstdint>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using chime::monotonic_clock;
using support::executor_log;
using support::initiation_guard;
using support::memory_log;
using support::run_out;
using support::tracking_allocator;
using support::tracking_executor;

using timer = chime::timerfd<monotonic_clock>;
using expiry = timer::expiry_type;
using outcome = support::outcome<monotonic_clock>;

// The ways in which a wait comes to its end. Each is given a timer and a token for one wait, begins
// the wait and lets it complete.
enum class way { expires, in_line, cancelled, cancelled_in_line, closed, last };

template <class Timer, class Token>
void complete_wait(way how, asio::io_context& context, Timer& t, Token&& token) {
  outcome first;
  const auto begin = [&] {
    const initiation_guard guard;
    t.async_wait(std::forward<Token>(token));
  };
  const auto begin_behind_another = [&] {
    t.async_wait(first.handler());
    begin();
  };
  context.restart();
  switch (how) {
    case way::expires:
      support::make_due(t);
      begin();
      break;
    case way::in_line:
      begin_behind_another();
      t.expires_every(20us);
      break;
    case way::cancelled:
      begin();
      context.poll();
      t.cancel();
      break;
    case way::cancelled_in_line:
      begin_behind_another();
      context.poll();
      t.cancel();
      break;
    case way::closed:
      t.close();
      begin();
      break;
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

TEST_CASE("a handler is never called from within async_wait, whatever its timer is up to") {
  for_each_way([](way how) {
    asio::io_context context;
    timer t{context};
    int calls = 0;
    complete_wait(how, context, t, [&](error_code, expiry) {
      ++calls;
      CHECK_FALSE(initiation_guard::is_initiating());
    });
    CHECK(calls == 1);
  });
}

TEST_CASE("nor when async_wait is called on the executor that the handler runs on") {
  asio::io_context context;
  timer t{context};
  int calls = 0;
  support::make_due(t);
  asio::post(context, [&] {
    const initiation_guard guard;
    for (int i = 0; i < 3; ++i) {
      t.async_wait([&](error_code, expiry) {
        ++calls;
        CHECK_FALSE(initiation_guard::is_initiating());
      });
    }
    t.cancel();
    t.async_wait([&](error_code, expiry) { ++calls; });
    t.close();
    CHECK(calls == 0);
  });
  run_out(context);
  CHECK(calls == 4);
}

TEST_CASE("a handler without an executor of its own runs on the timer's, which counts the work") {
  for_each_way([](way how) {
    asio::io_context context;
    executor_log log;
    chime::timerfd<monotonic_clock, tracking_executor> typed{tracking_executor{context, log}};
    timer erased{tracking_executor{context, log}};
    CHECK(log.work == 0);
    int calls = 0;
    const auto handler = [&](error_code, expiry) {
      ++calls;
      CHECK(log.is_running());
    };
    complete_wait(how, context, typed, handler);
    complete_wait(how, context, erased, handler);
    CHECK(calls == 2);
    CHECK(log.most_work >= 1);
    CHECK(log.work == 0);
  });
}

TEST_CASE("a handler runs on its own executor, and work is counted on both meanwhile") {
  for_each_way([](way how) {
    asio::io_context context;
    executor_log io;
    executor_log own;
    timer t{tracking_executor{context, io}};
    int calls = 0;
    complete_wait(how, context, t,
                  asio::bind_executor(tracking_executor{context, own}, [&](error_code, expiry) {
                    ++calls;
                    CHECK(own.is_running());
                    CHECK_FALSE(io.is_running());
                  }));
    CHECK(calls == 1);
    CHECK(own.most_work >= 1);
    CHECK(own.work == 0);
    CHECK(io.work == 0);
    if (how != way::closed) CHECK(io.most_work >= 1);
  });
}

TEST_CASE("work stays counted for as long as the wait is outstanding, at the kernel and in line") {
  asio::io_context io_context;
  asio::io_context own_context;
  executor_log io;
  executor_log own;
  timer t{tracking_executor{io_context, io}};
  const auto bound = [&](outcome& seen) {
    return asio::bind_executor(tracking_executor{own_context, own}, seen.handler());
  };
  outcome first;
  outcome second;
  t.async_wait(bound(first));
  io_context.poll();
  own_context.poll();
  CHECK(io.work >= 1);
  CHECK(own.work >= 1);
  const int io_one = io.work;
  const int own_one = own.work;
  t.async_wait(bound(second));
  CHECK(io.work > io_one);
  CHECK(own.work > own_one);
  // Neither context stops, since each is owed something.
  io_context.restart();
  own_context.restart();
  io_context.poll();
  own_context.poll();
  CHECK_FALSE(io_context.stopped());
  CHECK_FALSE(own_context.stopped());
  t.expires_every(20us);
  const auto deadline = std::chrono::steady_clock::now() + support::slack;
  while (second.calls == 0 && std::chrono::steady_clock::now() < deadline) {
    io_context.run_one_for(1ms);
    own_context.run_one_for(1ms);
  }
  CHECK(first.calls == 1);
  CHECK(second.calls == 1);
  run_out(io_context);
  run_out(own_context);
  CHECK(io.work == 0);
  CHECK(own.work == 0);
}

TEST_CASE(
    "a wait's memory comes from the handler's allocator and is back before the handler runs") {
  for_each_way([](way how) {
    asio::io_context context;
    timer t{context};
    memory_log memory;
    int calls = 0;
    complete_wait(how, context, t,
                  asio::bind_allocator(tracking_allocator<int>{memory}, [&](error_code, expiry) {
                    ++calls;
                    CHECK(memory.outstanding == 0);
                  }));
    CHECK(calls == 1);
    CHECK(memory.allocations >= 1);
    CHECK(memory.outstanding == 0);
  });
}

// (The engine has its own wait at the system besides.)
TEST_CASE("a wait's memory comes from nowhere else" * doctest::test_suite("kernel")) {
  for_each_way([](way how) {
    // A wait in line, or of a closed timer, goes through a type-erased executor, which has no allocator.
    if (how != way::expires && how != way::cancelled) return;
    asio::io_context context;
    timer t{context};
    context.poll();
    memory_log memory;
    int calls = 0;
    support::make_due(t);  // whatever is allocated once has been
    t.wait();
    std::uint64_t at_end = 0;
    const auto before = heap_allocations();
    complete_wait(how, context, t,
                  asio::bind_executor(context.get_executor(),
                                      asio::bind_allocator(tracking_allocator<int>{memory},
                                                           [&](error_code, expiry) {
                                                             ++calls;
                                                             at_end = heap_allocations();
                                                           })));
    CHECK(calls == 1);
    CHECK(memory.allocations >= 1);
    CHECK(at_end == before);
  });
}

TEST_CASE("a wait in line goes over to another context in memory of its own") {
  asio::io_context context;
  asio::io_context elsewhere;
  timer t{context};
  memory_log memory;
  int calls = 0;
  outcome first;
  t.async_wait(first.handler());
  t.async_wait(asio::bind_executor(
      elsewhere.get_executor(),
      asio::bind_allocator(tracking_allocator<int>{memory}, [&](error_code, expiry) {
        ++calls;
        CHECK(memory.outstanding == 0);
      })));
  CHECK(memory.outstanding == 1);  // it stands in line
  t.cancel();
  context.poll();
  CHECK(memory.outstanding == 2);  // and there it goes
  elsewhere.poll();
  CHECK(calls == 1);
  CHECK(memory.outstanding == 0);
}

TEST_CASE("a wait that was woken in vain goes on on its executor, with its memory and its work") {
  asio::io_context context;
  executor_log io;
  timer t{tracking_executor{context, io}};
  memory_log memory;
  support::on_its_way way;
  int calls = 0;
  t.async_wait(
      way.bind(asio::bind_allocator(tracking_allocator<int>{memory}, [&](error_code ec, expiry) {
        ++calls;
        CHECK_FALSE(ec);
        CHECK(memory.outstanding == 0);
      })));
  context.poll();
  const int one_wait = memory.outstanding;
  for (int i = 0; i < 3; ++i) {
    way.make_ready(context, t);
    t.disarm();
    const auto before = heap_allocations();
    way.arrive();
    CHECK(heap_allocations() == before);
    CHECK(calls == 0);
    CHECK(memory.outstanding == one_wait);
    CHECK(io.work >= 1);
  }
  t.expires_after(1us);
  run_out(context);
  way.arrive();
  CHECK(calls == 1);
  CHECK(memory.outstanding == 0);
  CHECK(io.work == 0);
}

TEST_CASE("memory of waits that never complete is given back when the context goes") {
  memory_log memory;
  {
    asio::io_context context;
    timer t{context};
    for (int i = 0; i < 3; ++i) {
      t.async_wait(asio::bind_allocator(tracking_allocator<int>{memory}, [](error_code, expiry) {
        FAIL("called by a context that is being destroyed");
      }));
    }
    context.poll();
    CHECK(memory.outstanding >= 3);
  }
  CHECK(memory.outstanding == 0);
}

TEST_CASE("the executor of an initiation is the timer's") {
  asio::io_context context;
  const tracking_executor executor = [&] {
    static executor_log log;
    return tracking_executor{context, log};
  }();
  chime::timerfd<monotonic_clock, tracking_executor> t{executor};
  CHECK(t.get_executor() == executor);
  // Asio asks the initiation for it, for instance to launch a deferred operation.
  auto deferred = t.async_wait();
  outcome seen;
  t.expires_after(1us);
  std::move(deferred)(seen.handler());
  run_out(context);
  CHECK(seen.calls == 1);
}
