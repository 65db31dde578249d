// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Completion tokens other than coroutines'.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored \
    "-Wmaybe-uninitialized"  // g++ 12 with a sanitizer, of Asio's use_future.hpp
#endif

#include "support/asio.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/consign.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prepend.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <tuple>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using support::run_out;

using timer = chime::timerfd<chime::monotonic_clock>;
using expiry = timer::expiry_type;
using outcome = support::outcome<chime::monotonic_clock>;

}  // namespace

TEST_CASE("a wait takes a callback that can only be moved") {
  asio::io_context context;
  timer t{context};
  t.expires_after(1us);
  int calls = 0;
  t.async_wait([owned = std::make_unique<int>(7), &calls](error_code ec, expiry e) {
    CHECK_FALSE(ec);
    CHECK(e.expirations == 1);
    CHECK(*owned == 7);
    ++calls;
  });
  run_out(context);
  CHECK(calls == 1);
}

TEST_CASE("a wait takes a callback that is an lvalue, const or not, and copies it") {
  asio::io_context context;
  timer t{context};
  const auto owned = std::make_shared<int>(0);
  auto handler = [owned](error_code, expiry) { ++*owned; };
  const auto& constant = handler;
  for (int i = 0; i < 2; ++i) {
    t.expires_after(1us);
    if (i == 0)
      t.async_wait(handler);
    else
      t.async_wait(constant);
    CHECK(owned.use_count() == 3);
    run_out(context);
    CHECK(owned.use_count() == 2);
  }
  CHECK(*owned == 2);
}

TEST_CASE("a wait takes a function, a std::function and a std::bind") {
  static int calls = 0;
  calls = 0;
  struct plain {
    static void call(error_code ec, expiry) { calls += ec ? 100 : 1; }
  };
  asio::io_context context;
  timer t{context};
  t.expires_after(1us);
  t.async_wait(&plain::call);
  run_out(context);
  t.expires_after(1us);
  t.async_wait(std::function<void(error_code, expiry)>{&plain::call});
  run_out(context);
  t.expires_after(1us);
  t.async_wait(std::bind(&plain::call, std::placeholders::_1, std::placeholders::_2));
  run_out(context);
  CHECK(calls == 3);
}

TEST_CASE("a callback that throws leaves the timer usable") {
  asio::io_context context;
  timer t{context};
  t.expires_after(1us);
  t.async_wait([](error_code, expiry) { throw 42; });
  outcome next;
  t.async_wait(next.handler());
  CHECK_THROWS_AS(run_out(context), int);
  t.expires_after(1us);
  run_out(context);
  CHECK(next.calls == 1);
  CHECK_FALSE(next.error);
}

TEST_CASE("use_future gives the expiry, or throws the error") {
  asio::io_context context;
  timer t{context};
  t.expires_after(1us);
  std::future<expiry> good = t.async_wait(asio::use_future);
  run_out(context);
  CHECK(good.get().expirations == 1);

  std::future<expiry> bad = t.async_wait(asio::use_future);
  context.restart();
  context.poll();
  t.cancel();
  run_out(context);
  error_code thrown;
  try {
    bad.get();
  } catch (const chime::system_error& e) {
    thrown = e.code();
  }
  CHECK(thrown == asio::error::operation_aborted);
}

// A future's executor is the system's thread pool, to which a handler may be dispatched but not
// posted.
TEST_CASE(
    "a future starts no thread: not in line, not cancelled there, and not of a closed timer") {
  asio::io_context context;
  timer t{context};
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks{"/proc/self/task"};
    return std::distance(begin(tasks), end(tasks));
  };
  const auto before = threads();
  const auto ready = [](std::future<expiry>& f) {
    return f.wait_for(0s) == std::future_status::ready;
  };
  std::future<expiry> first = t.async_wait(asio::use_future);
  std::future<expiry> second = t.async_wait(asio::use_future);
  std::future<expiry> third = t.async_wait(asio::use_future);
  t.expires_every(20us);
  support::run_until(context, [&] { return ready(first) && ready(second); });
  CHECK(second.get().expirations >= 1);
  t.disarm();
  std::future<expiry> fourth = t.async_wait(asio::use_future);
  t.cancel();
  run_out(context);
  CHECK(ready(third));
  CHECK(ready(fourth));
  t.close();
  std::future<expiry> closed = t.async_wait(asio::use_future);
  run_out(context);
  CHECK(ready(closed));
  error_code thrown;
  try {
    closed.get();
  } catch (const chime::system_error& e) {
    thrown = e.code();
  }
  CHECK(thrown == asio::error::bad_descriptor);
  CHECK(threads() == before);
}

TEST_CASE("a deferred wait is begun when it is launched, and may be kept until then") {
  asio::io_context context;
  timer t{context};
  support::make_due(t);
  auto stored = t.async_wait(asio::deferred);
  context.poll();
  CHECK(t.is_ready());
  outcome seen;
  std::move(stored)(seen.handler());
  run_out(context);
  CHECK(seen.calls == 1);
  CHECK(seen.expiry.scheduled == timer::time_point{1ns});

  // Continued by a function of the result.
  t.expires_after(1us);
  std::uint64_t doubled = 0;
  t.async_wait(asio::deferred([&](error_code ec, expiry e) {
    return asio::deferred.values(ec, e.expirations * 2);
  }))([&](error_code, std::uint64_t n) { doubled = n; });
  run_out(context);
  CHECK(doubled == 2);
}

TEST_CASE("as_tuple makes one argument of the two") {
  asio::io_context context;
  timer t{context};
  t.expires_after(1us);
  int calls = 0;
  t.async_wait(asio::as_tuple([&](std::tuple<error_code, expiry> result) {
    ++calls;
    CHECK_FALSE(std::get<0>(result));
    CHECK(std::get<1>(result).expirations == 1);
  }));
  run_out(context);
  CHECK(calls == 1);
}

TEST_CASE("redirect_error takes the error out of the signature") {
  asio::io_context context;
  timer t{context};
  t.close();
  error_code ec;
  int calls = 0;
  t.async_wait(asio::redirect_error(
      [&](expiry e) {
        ++calls;
        CHECK(e.expirations == 0);
      },
      ec));
  run_out(context);
  CHECK(calls == 1);
  CHECK(ec == asio::error::bad_descriptor);
}

TEST_CASE("a detached wait takes the expirations like any other") {
  asio::io_context context;
  timer t{context};
  support::make_due(t);
  t.async_wait(asio::detached);
  run_out(context);
  CHECK_FALSE(t.is_ready());
}

TEST_CASE("append, prepend and consign go round a wait") {
  asio::io_context context;
  timer t{context};
  t.expires_after(1us);
  int seen = 0;
  t.async_wait(
      asio::append([&](error_code, expiry e, int i) { seen = i + (e.overrun() == 0); }, 41));
  run_out(context);
  CHECK(seen == 42);

  t.expires_after(1us);
  t.async_wait(asio::prepend([&](int i, error_code, expiry) { seen = i; }, 43));
  run_out(context);
  CHECK(seen == 43);

  auto kept = std::make_shared<int>(44);
  const std::weak_ptr<int> watch = kept;
  t.expires_after(1us);
  t.async_wait(asio::consign([&](error_code, expiry) { seen = *watch.lock(); }, std::move(kept)));
  run_out(context);
  CHECK(seen == 44);
  CHECK(watch.expired());
}

TEST_CASE("a wait takes a handler and an executor whose types are erased") {
  asio::io_context context;
  timer t{context};
  int calls = 0;
  for (int i = 1; i <= 2; ++i) {
    t.expires_after(1us);
    const auto count = [&](error_code ec, expiry) { calls += !ec; };
    asio::any_completion_handler<void(error_code, expiry)> erased{count};
    if (i == 1)
      t.async_wait(std::move(erased));
    else
      t.async_wait(
          asio::bind_executor(asio::any_completion_executor{context.get_executor()}, count));
    run_out(context);
    CHECK(calls == i);
  }
}

TEST_CASE("binders of executor, allocator and slot may be nested in any order") {
  asio::io_context context;
  timer t{context};
  auto strand = asio::make_strand(context);
  asio::cancellation_signal signal;
  const std::allocator<int> allocator;
  int calls = 0;
  const auto handler = [&](error_code ec, expiry) {
    calls += ec == asio::error::operation_aborted && strand.running_in_this_thread();
  };
  const auto check_cancelled = [&] {
    context.restart();
    context.poll();
    signal.emit(asio::cancellation_type::total);
    run_out(context);
  };
  t.expires_after(1h);
  t.async_wait(asio::bind_executor(
      strand,
      asio::bind_allocator(allocator, asio::bind_cancellation_slot(signal.slot(), handler))));
  check_cancelled();
  CHECK(calls == 1);
  t.async_wait(asio::bind_cancellation_slot(
      signal.slot(), asio::bind_executor(strand, asio::bind_allocator(allocator, handler))));
  check_cancelled();
  CHECK(calls == 2);
}

TEST_CASE("a strand as the timer's executor runs every handler") {
  asio::io_context context;
  auto strand = asio::make_strand(context);
  chime::timerfd<chime::monotonic_clock, decltype(strand)> t{strand};
  int calls = 0;
  const auto handler = [&](error_code ec, expiry) {
    CHECK_FALSE(ec);
    CHECK(strand.running_in_this_thread());
    ++calls;
  };
  t.expires_every(50us);
  for (int i = 0; i < 4; ++i) t.async_wait(handler);
  run_out(context);
  CHECK(calls == 4);
}

TEST_CASE("of a parallel group, the wait that loses is cancelled and takes nothing") {
  asio::io_context context;
  timer soon{context};
  timer late{context};
  soon.expires_after(1us);
  late.expires_after(1h);
  int calls = 0;
  asio::experimental::make_parallel_group(late.async_wait(), soon.async_wait())
      .async_wait(asio::experimental::wait_for_one(),
                  [&](std::array<std::size_t, 2> order, error_code late_ec, expiry late_expiry,
                      error_code soon_ec, expiry soon_expiry) {
                    ++calls;
                    CHECK(order[0] == 1);
                    CHECK(late_ec == asio::error::operation_aborted);
                    CHECK(late_expiry.expirations == 0);
                    CHECK_FALSE(soon_ec);
                    CHECK(soon_expiry.expirations == 1);
                  });
  run_out(context);
  CHECK(calls == 1);
  CHECK(late.get().is_armed());
}

TEST_CASE("a parallel group may hold several waits for one timer") {
  asio::io_context context;
  timer t{context};
  t.expires_after(1us);
  int calls = 0;
  asio::experimental::make_parallel_group(t.async_wait(), t.async_wait(), t.async_wait())
      .async_wait(asio::experimental::wait_for_one(),
                  [&](std::array<std::size_t, 3> order, error_code a, expiry, error_code b, expiry,
                      error_code c, expiry) {
                    ++calls;
                    CHECK(order[0] == 0);
                    CHECK_FALSE(a);
                    CHECK(b == asio::error::operation_aborted);
                    CHECK(c == asio::error::operation_aborted);
                  });
  run_out(context);
  CHECK(calls == 1);
}
