// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A request may use so much CPU, however long it takes. One that mostly waits comes to its end; one
// that computes too much is cancelled, with an error of its own.

#include <chime/chime.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <support/check.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto budget = 50ms;

/// Counts the primes below `limit`, and lets others have a turn now and then.
asio::awaitable<unsigned> count_primes(unsigned limit) {
  unsigned count = 0;
  for (unsigned n = 2; n < limit; ++n) {
    bool is_prime = true;
    for (unsigned d = 2; d * d <= n && is_prime; ++d) is_prime = n % d != 0;
    count += is_prime;
    if (n % 1000 == 0) co_await asio::post(co_await asio::this_coro::executor, asio::deferred);
  }
  co_return count;
}

/// Asks somebody far away, and waits for the answer.
asio::awaitable<unsigned> ask() {
  chime::timerfd<chime::monotonic_clock> answer{co_await asio::this_coro::executor};
  answer.expires_after(4 * budget);
  co_await answer.async_wait();
  co_return 42;
}

asio::awaitable<bool> serve(const char* request, asio::awaitable<unsigned> work) {
  const auto start = chime::monotonic_clock::now();
  const auto cpu = chime::process_cpu_clock::now();
  const auto report = [&](const char* outcome) {
    std::printf("%-18s %-22s after %4lld ms, %4lld ms of CPU\n", request, outcome,
                static_cast<long long>((chime::monotonic_clock::now() - start) / 1ms),
                static_cast<long long>((chime::process_cpu_clock::now() - cpu) / 1ms));
  };
  try {
    co_await chime::cpu_budget(budget, std::move(work));
    report("done");
    co_return true;
  } catch (const chime::system_error& e) {
    if (e.code() != chime::error::cpu_budget_exhausted()) throw;
    report(e.code().message().c_str());
    example::check(chime::process_cpu_clock::now() - cpu >= budget,
                   "nobody is cut short before the budget is used");
    co_return false;
  }
}

asio::awaitable<void> server() {
  example::check(co_await serve("a few primes", count_primes(2'000)), "little work is done");
  example::check(co_await serve("a slow answer", ask()), "waiting costs nothing");
  example::check(!co_await serve("very many primes", count_primes(1'000'000'000)),
                 "too much work is cancelled");
}

}  // namespace

int main() {
  std::printf("Each request may use %lld ms of CPU.\n", static_cast<long long>(budget / 1ms));
  asio::io_context context{1};
  asio::co_spawn(context, server(), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
  context.run();
}
