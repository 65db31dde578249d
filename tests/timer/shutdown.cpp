// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Execution contexts that go while waits are outstanding. Leaks show under AddressSanitizer, too;
// here the handlers are watched.
#include "support/asio.hpp"

#include <chime/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <fcntl.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;

using timer = chime::timerfd<chime::monotonic_clock>;
using expiry = timer::expiry_type;

// A handler that owns its timer and must never be called.
struct never_called {
  std::shared_ptr<timer> owned;

  void operator()(error_code, expiry) const { FAIL("called by a context that is gone"); }
};

struct counted_call {
  std::shared_ptr<timer> owned;
  int* calls;

  void operator()(error_code, expiry) const { ++*calls; }
};

}  // namespace

TEST_CASE(
    "a context that goes destroys its waits, at the kernel and in line, with the timer they own") {
  for (const bool polled : {false, true}) {
    std::weak_ptr<timer> watch;
    int fd = -1;
    {
      asio::io_context context;
      auto t = std::make_shared<timer>(context);
      watch = t;
      fd = t->native_handle();
      for (int i = 0; i < 4; ++i) t->async_wait(never_called{t});
      if (polled) context.poll();
      t.reset();
      CHECK_FALSE(watch.expired());
    }
    CHECK(watch.expired());
    CHECK(::fcntl(fd, F_GETFD) == -1);
  }
}

TEST_CASE("so it does with waits whose completion is on its way") {
  std::weak_ptr<timer> watch;
  {
    asio::io_context context;
    auto t = std::make_shared<timer>(context);
    watch = t;
    for (int i = 0; i < 4; ++i) t->async_wait(never_called{t});
    context.poll();
    support::make_due(*t);
  }
  CHECK(watch.expired());
  {
    asio::io_context context;
    auto t = std::make_shared<timer>(context);
    watch = t;
    for (int i = 0; i < 4; ++i) t->async_wait(never_called{t});
    context.poll();
    t->cancel();  // posted, not run
  }
  CHECK(watch.expired());
}

TEST_CASE("so it does with a wait whose turn has come but that has not begun") {
  std::weak_ptr<timer> watch;
  int calls = 0;
  {
    asio::io_context context;
    auto t = std::make_shared<timer>(context);
    watch = t;
    t->async_wait(counted_call{t, &calls});
    for (int i = 0; i < 3; ++i) t->async_wait(never_called{t});
    support::make_due(*t);
    support::run_until(context, [&] { return calls == 1; });
    t.reset();
  }
  CHECK(calls == 1);
  CHECK(watch.expired());
}

TEST_CASE("so it does with waits on strands, whose service goes before the reactor or after it") {
  for (const bool strand_first : {false, true}) {
    std::weak_ptr<timer> watch;
    {
      asio::io_context context;
      std::optional<asio::strand<asio::io_context::executor_type>> strand;
      if (strand_first) strand.emplace(context.get_executor());
      auto t = std::make_shared<timer>(context);
      if (!strand_first) strand.emplace(context.get_executor());
      watch = t;
      for (int i = 0; i < 4; ++i) {
        t->async_wait(asio::bind_executor(*strand, never_called{t}));
        t->async_wait(never_called{t});
      }
      context.poll();
    }
    CHECK(watch.expired());
  }
}

TEST_CASE("a timer that is destroyed first lets the context destroy its waits afterwards") {
  const auto owned = std::make_shared<int>();
  {
    asio::io_context context;
    {
      timer t{context};
      for (int i = 0; i < 4; ++i)
        t.async_wait([owned](error_code, expiry) { FAIL("called by a context that is gone"); });
      context.poll();
    }
    CHECK(owned.use_count() == 5);
  }
  CHECK(owned.use_count() == 1);
}

TEST_CASE("waits whose slot is emitted while the context goes are destroyed all the same") {
  struct emits_at_end {
    asio::cancellation_signal& signal;
    std::shared_ptr<timer> owned;
    ~emits_at_end() { signal.emit(asio::cancellation_type::total); }
  };
  std::array<asio::cancellation_signal, 3> signals;
  std::weak_ptr<timer> watch;
  {
    asio::io_context context;
    auto t = std::make_shared<timer>(context);
    watch = t;
    for (std::size_t i = 0; i < signals.size(); ++i) {
      auto end = std::make_shared<emits_at_end>(signals[(i + 1) % signals.size()], t);
      t->async_wait(asio::bind_cancellation_slot(signals[i].slot(), [end](error_code, expiry) {
        FAIL("called by a context that is gone");
      }));
    }
    context.poll();
  }
  CHECK(watch.expired());
}

TEST_CASE("a handler may call its timer when it is destroyed with a context that goes") {
  struct cancels_at_end {
    std::shared_ptr<timer> owned;
    ~cancels_at_end() {
      owned->cancel();
      error_code ec;
      owned->expires_after(1h, ec);
      owned->close();
    }
  };
  std::weak_ptr<timer> watch;
  {
    asio::io_context context;
    auto t = std::make_shared<timer>(context);
    watch = t;
    for (int i = 0; i < 3; ++i) {
      auto end = std::make_shared<cancels_at_end>(t);
      t->async_wait([end](error_code, expiry) { FAIL("called by a context that is gone"); });
    }
    context.poll();
  }
  CHECK(watch.expired());
}

TEST_CASE("a thread pool that is stopped and goes destroys the waits of its timers") {
  std::weak_ptr<timer> watch;
  {
    asio::thread_pool pool{2};
    auto t = std::make_shared<timer>(pool);
    watch = t;
    for (int i = 0; i < 4; ++i) t->async_wait(never_called{t});
    t.reset();
    pool.stop();
    pool.join();
  }
  CHECK(watch.expired());
}

TEST_CASE("waits complete on a thread pool, and joining it waits for them") {
  std::atomic<int> calls = 0;
  {
    asio::thread_pool pool{2};
    timer t{pool};
    t.expires_every(20us);
    for (int i = 0; i < 4; ++i) t.async_wait([&](error_code ec, expiry) { calls += !ec; });
    pool.join();
    CHECK(calls == 4);
  }
}

TEST_CASE("waits whose handlers belong to another context that has stopped go with that one") {
  asio::io_context context;
  timer t{context};
  const auto owned = std::make_shared<int>();
  {
    asio::thread_pool pool{1};
    for (int i = 0; i < 4; ++i) {
      t.async_wait(asio::bind_executor(
          pool, [owned](error_code, expiry) { FAIL("called by a pool that has been stopped"); }));
    }
    pool.stop();
    pool.join();
    t.cancel();  // posts to a pool where nobody runs
    context.poll();
    CHECK(owned.use_count() == 5);
  }
  CHECK(owned.use_count() == 1);
  // The timer goes on.
  support::outcome<chime::monotonic_clock> seen;
  t.expires_after(1us);
  t.async_wait(seen.handler());
  support::run_until(context, [&] { return seen.calls == 1; });
  CHECK_FALSE(seen.error);
}

TEST_CASE("a context that goes with a long line in it does not recurse") {
  const auto owned = std::make_shared<int>();
  constexpr int length = 3000;
  for (const bool strand_too : {false, true}) {
    asio::io_context context;
    timer t{context};
    auto strand = asio::make_strand(context);
    for (int i = 0; i < length; ++i) {
      auto handler = [owned](error_code, expiry) { FAIL("called by a context that is gone"); };
      if (strand_too)
        t.async_wait(asio::bind_executor(strand, std::move(handler)));
      else
        t.async_wait(std::move(handler));
    }
    CHECK(owned.use_count() == length + 1);
  }
  CHECK(owned.use_count() == 1);
}
