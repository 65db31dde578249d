// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Tests a small program, a cron with a retry policy, over a simulated month: with jobs that fail, a
// wall clock that is set forwards and back, and a laptop that is closed over a weekend. It takes
// milliseconds, and goes the same way in every run.

#include <chime/chime.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <support/check.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::nanoseconds;
using std::chrono::days;
using std::chrono::floor;
using std::chrono::sys_days;
using std::chrono::sys_time;
using std::chrono::year;

namespace {

using instant = sys_time<nanoseconds>;

// ---- The program under test. It knows nothing of virtual time.

/// What became of a job.
struct run {
  instant due;  // which night's job it is
  instant done;
  int attempts;
};

/// Each night at three, by the wall clock, whatever happens to that: runs `job`, and again after a
/// minute, two, four... if it fails.
template <class Job>
asio::awaitable<void> nightly(Job job, std::vector<run>& log) {
  const auto executor = co_await asio::this_coro::executor;
  chime::timerfd<chime::realtime_clock> night{executor};
  chime::timerfd<chime::monotonic_clock> backoff{executor};
  instant last{};
  for (;;) {
    // The next three o'clock whose job has not been done: a clock set back does not do one twice.
    auto due = floor<days>(std::max(night.now(), last)) + 3h;
    while (due <= last || due < night.now()) due += days{1};
    night.expires_at(due, chime::cancel_on_clock_set);
    try {
      co_await night.async_wait();
    } catch (const chime::system_error& e) {
      if (e.code() != chime::error::clock_was_set()) throw;
      // The clock was set, or the machine slept. What it slept through is done at once.
      if (night.now() < due) continue;
    }
    last = due;
    int attempts = 1;
    for (nanoseconds pause = 1min; !job(due, attempts); pause *= 2, ++attempts) {
      backoff.expires_after(pause);
      co_await backoff.async_wait();
    }
    log.push_back({due, night.now(), attempts});
  }
}

// ---- The test.

std::string written(instant t) {
  const auto day = floor<days>(t);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{floor<std::chrono::seconds>(t - day)};
  char text[32];
  std::snprintf(text, sizeof text, "%02u-%02u %02d:%02d:%02d", static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return text;
}

std::vector<run> simulated_march() {
  const instant march = sys_days{year{2027} / 3 / 1};
  const auto at = [&](int day, nanoseconds time) { return march + days{day - 1} + time; };
  std::vector<run> log;
  asio::io_context context;
  chime::virtual_time time{context, {.realtime = march}};

  asio::co_spawn(
      time.get_executor(),
      nightly([&](instant due, int attempt) { return due != at(10, 3h) || attempt == 4; }, log),
      [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
      });

  time.advance_to(at(14, 1h));
  time.set_realtime(at(14, 4h));  // somebody sets the clock ahead, past three
  time.advance_to(at(17, 3h + 30min));
  time.set_realtime(at(17, 2h + 30min));  // and back, to before three
  time.advance_to(at(20, 1h));
  time.suspend(days{2});  // the lid is closed on Saturday at one, and opened on Monday
  time.advance_to(at(32, 0h));
  return log;
}

}  // namespace

int main() {
  using example::check;
  const auto start = std::chrono::steady_clock::now();
  const std::vector<run> log = simulated_march();
  const auto took = std::chrono::steady_clock::now() - start;

  for (const run& r : log) {
    std::printf("%s  the job of %s", written(r.done).c_str(), written(r.due).c_str());
    if (r.attempts > 1) std::printf(", at the %dth attempt", r.attempts);
    std::puts("");
  }
  std::printf("A month passed in %.1f ms.\n",
              std::chrono::duration<double, std::milli>{took}.count());

  const instant march = sys_days{year{2027} / 3 / 1};
  const auto job = [&](int day) { return march + days{day - 1} + 3h; };
  std::size_t late = 0;
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (i > 0) check(log[i].due > log[i - 1].due, "no job is done twice");
    if (log[i].due == job(10)) {
      check(log[i].attempts == 4, "the job that failed was tried again until it did not");
      check(log[i].done == job(10) + 7min, "after a minute, two, and four");
    } else if (log[i].due == job(14)) {
      check(log[i].done == job(14) + 1h, "a job that the clock jumped over is done at once");
      ++late;
    } else if (log[i].due == job(20)) {
      check(log[i].done == job(22) - 2h,
            "a job that the machine slept through is done when it wakes");
      ++late;
    } else {
      check(log[i].done == log[i].due, "every other job is done on the instant");
    }
  }
  check(late == 2, "two jobs are late");
  check(log.size() == 30, "all nights have their job but the one that the machine slept through");
  const std::vector<run> again = simulated_march();
  check(again.size() == log.size(), "and it goes the same way each time");
  for (std::size_t i = 0; i < log.size(); ++i)
    check(again[i].done == log[i].done && again[i].due == log[i].due, "to the nanosecond");
  return 0;
}
