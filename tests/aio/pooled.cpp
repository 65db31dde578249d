// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Timers whose waits are shared. (That they are timers as any others, tests/conformance shows.)
#include "support/aio.hpp"
#include "support/asio.hpp"
#include "support/in_child.hpp"
#include "support/no_leak.hpp"

#include <chime/basic_timer.hpp>
#include <chime/kernel/pooled_timerfd.hpp>
#include <chime/pooled_timerfd.hpp>
#include <chime/shim/timerfd.hpp>

#include <doctest/doctest.h>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::error_code;
using chime::monotonic_clock;
using support::run_out;
using support::run_until;

class no_leaks : support::no_leak, support::no_aio_leak {};

using timer = chime::basic_timer<chime::kernel::pooled_timerfd<monotonic_clock>>;
using outcome = support::outcome<monotonic_clock>;

const error_code aborted = asio::error::operation_aborted;

}  // namespace

TEST_CASE_FIXTURE(no_leaks, "any number of them: each is told, each count is exact") {
  asio::io_context context;
  std::vector<timer> timers;
  std::vector<outcome> outcomes(1000);
  const auto descriptors = support::open_descriptors();
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    timers.emplace_back(context);
    timers.back().expires_at(monotonic_clock::now() + 2ms);
    timers.back().async_wait(outcomes[i].handler());
  }
  // One for each timer; the reactor's, the engine's and the bell are there already or few.
  CHECK_LE(support::open_descriptors(), descriptors + 1000 + 5);
  run_out(context);
  for (const outcome& o : outcomes) {
    CHECK_EQ(o.calls, 1);
    CHECK_FALSE(o.error);
    CHECK_EQ(o.expiry.expirations, 1);
  }
}

TEST_CASE_FIXTURE(no_leaks, "room that was made in advance is one AIO context, and is used") {
  asio::io_context context;
  const int before = support::aio_contexts();
  error_code ec;
  chime::reserve_pooled_timers(context, 300, ec);
  CHECK_FALSE(ec);
  CHECK_EQ(support::aio_contexts(), before + 1);
  chime::reserve_pooled_timers(context, 200, ec);
  CHECK_FALSE(ec);
  std::vector<timer> timers;
  for (int i = 0; i < 300; ++i) timers.emplace_back(context);
  CHECK_EQ(support::aio_contexts(), before + 1);
  timers.emplace_back(context);
  CHECK_EQ(support::aio_contexts(), before + 2);
}

TEST_CASE_FIXTURE(no_leaks, "where there is no room, opening says EAGAIN, and making it too") {
  asio::io_context context;
  error_code ec;
  std::FILE* const f = std::fopen("/proc/sys/fs/aio-max-nr", "re");
  REQUIRE(f);
  std::size_t most = 0;
  const int read = std::fscanf(f, "%zu", &most);
  std::fclose(f);
  REQUIRE_EQ(read, 1);
  if (most < 1U << 24) {
    chime::reserve_pooled_timers(context, most + 1, ec);
    CHECK_EQ(ec, chime::error::from_errno(EAGAIN));
  }
  timer t{context, ec};  // there is for one
  CHECK_FALSE(ec);
}

TEST_CASE_FIXTURE(no_leaks, "places are used again: timers that come and go need no more of them") {
  asio::io_context context;
  timer first{context};
  const int with_one = support::aio_contexts();
  for (int i = 0; i < 500; ++i) {
    timer t{context};
    outcome o;
    t.expires_after(1h);
    t.async_wait(o.handler());
    context.restart();
    context.poll();  // it is with the kernel now
    t.close();
    run_until(context, [&] { return o.calls == 1; });
    CHECK_EQ(o.error, aborted);
  }
  CHECK_EQ(support::aio_contexts(), with_one);
}

TEST_CASE_FIXTURE(
    no_leaks, "a wait that is over is no work, though the kernel polls on; the next finds that") {
  asio::io_context context;
  timer t{context};
  t.expires_after(1h);
  outcome first;
  t.async_wait(first.handler());
  context.poll();
  t.cancel();
  run_out(context);
  CHECK_EQ(first.error, aborted);
  CHECK(context.stopped());
  outcome second;
  t.async_wait(second.handler());
  context.restart();
  context.poll();
  CHECK_FALSE(context.stopped());
  t.expires_after(1ms);
  run_out(context);
  CHECK_EQ(second.expiry.expirations, 1);
}

TEST_CASE_FIXTURE(no_leaks, "what expires between two waits is the next one's, at once") {
  asio::io_context context;
  timer t{context};
  outcome first, second;
  t.async_wait(first.handler());
  context.poll();
  t.cancel();
  run_out(context);
  support::make_due(t);
  t.async_wait(second.handler());
  run_out(context);
  CHECK_EQ(second.expiry.expirations, 1);
}

TEST_CASE_FIXTURE(no_leaks, "after a fork both processes wait on, each for itself") {
  asio::io_context context;
  timer t{context};
  timer idle{context};
  outcome o;
  t.async_wait(o.handler());
  context.poll();
  context.notify_fork(asio::execution_context::fork_prepare);
  const int said = support::in_child([&] {
    context.notify_fork(asio::execution_context::fork_child);
    // The timer is shared (F9), and set here it is set there. So look at another as well.
    timer mine{context};
    outcome of_mine, of_idle;
    mine.expires_after(1ms);
    mine.async_wait(of_mine.handler());
    idle.expires_after(1ms);
    idle.async_wait(of_idle.handler());
    for (int i = 0; i < 1000 && of_mine.calls + of_idle.calls < 2; ++i) {
      context.restart();
      context.run_one_for(5ms);
    }
    if (of_mine.calls != 1 || of_mine.error || of_idle.calls != 1 || of_idle.error) return 1;
    return o.calls == 0 ? 0 : 2;
  });
  context.notify_fork(asio::execution_context::fork_parent);
  CHECK_EQ(said, 0);
  t.expires_after(1ms);
  run_out(context);
  CHECK_EQ(o.calls, 1);
  CHECK_FALSE(o.error);
}

TEST_CASE_FIXTURE(no_leaks, "a descriptor that was released is the caller's, still armed") {
  asio::io_context context;
  timer t{context};
  outcome o;
  t.expires_after(1h);
  t.async_wait(o.handler());
  context.poll();
  const chime::shim::descriptor mine{t.release()};
  run_out(context);
  CHECK_EQ(o.error, aborted);
  CHECK_GT(chime::shim::timerfd_gettime(mine.get()).value().it_value.tv_sec, 3000);
}
