// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Every kind of timer there is, side by side in one live table, while the program stalls once on
// purpose: what expires meanwhile comes back as overruns, none lost and none shifted.

#include <chime/chime.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>

#include <support/check.hpp>
#include <support/lateness.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <list>
#include <string>
#include <thread>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::nanoseconds;

namespace {

/// A line of the table.
struct row {
  row(std::string kind_, std::string keeper_, std::string clock_, std::string asked_)
      : kind{std::move(kind_)},
        keeper{std::move(keeper_)},
        clock{std::move(clock_)},
        asked{std::move(asked_)} {}

  std::string kind, keeper, clock, asked;
  std::uint64_t expirations = 0;
  std::uint64_t overruns = 0;
  std::uint64_t by_rule = 0;       // how often it must have expired by its last report
  bool overruns_in_stall = false;  // whether it expires more than once while the program stalls
  std::string refused{};           // why the timer could not be had
  example::lateness late{};

  void enter(std::uint64_t expired, int overrun, nanoseconds lateness) {
    expirations += expired;
    overruns += static_cast<std::uint64_t>(overrun);
    late.add(lateness);
  }
};

constexpr auto stall = 150ms;

/// A periodic timer: waits until the context stops, and enters in its row what came.
template <class Timer>
asio::awaitable<void> follow(Timer timer, typename Timer::setting_type set, row& line) {
  timer.set(set);
  line.overruns_in_stall = set.interval * 2 < stall;
  for (;;) {
    const auto tick = co_await timer.async_wait();
    line.enter(tick.expirations, tick.overrun(), Timer::clock_type::now() - tick.scheduled);
    const auto last = tick.scheduled.time_since_epoch();
    if (line.by_rule == 0 && !set.is_absolute())
      set.value = last - (tick.expirations - 1) * set.interval;
    line.by_rule = chime::rules::expirations_by(set.value, set.interval, last);
  }
}

/// A one-shot timer, set anew from the deadline just met and not from now: so it keeps its phase,
/// too.
template <class Timer>
asio::awaitable<void> set_again_and_again(Timer timer, nanoseconds step, row& line) {
  using clock = typename Timer::clock_type;
  for (auto deadline = clock::now() + step;; deadline += step) {
    timer.expires_at(deadline);
    const auto tick = co_await timer.async_wait();
    line.enter(tick.expirations, tick.overrun(), clock::now() - tick.scheduled);
    ++line.by_rule;
    example::check(tick.scheduled == deadline,
                   "a one-shot timer reports the deadline it was set to");
  }
}

class tour {
 public:
  explicit tour(bool ci) : ci_{ci}, draws_{!ci && ::isatty(STDOUT_FILENO) == 1} {}

  int run(nanoseconds length) {
    using namespace chime;
    periodic<kernel::timerfd<monotonic_clock>>("kernel timerfd", "monotonic", 1ms);
    periodic<user::timerfd<monotonic_clock>>("engine timerfd", "monotonic", 1ms);
    periodic<kernel::pooled_timerfd<monotonic_clock>>("kernel AIO polls", "monotonic", 1ms);
    periodic<kernel::timerfd<boottime_clock>>("kernel timerfd", "boottime", 7ms);
    periodic<user::timerfd<boottime_clock>>("engine timerfd", "boottime", 7ms);
    periodic<kernel::timerfd<realtime_clock>>("kernel timerfd", "realtime", 10ms);
    periodic<user::timerfd<realtime_clock>>("engine timerfd", "realtime", 10ms);
    periodic<kernel::timerfd<realtime_alarm_clock>>("kernel timerfd", "realtime_alarm", 20ms);
    periodic<kernel::timerfd<boottime_alarm_clock>>("kernel timerfd", "boottime_alarm", 50ms);
    periodic<kernel::posix_timer<monotonic_clock>>("kernel posix timer", "monotonic", 3ms);
    periodic<user::posix_timer<monotonic_clock>>("engine posix timer", "monotonic", 3ms);
    periodic<kernel::posix_timer<tai_clock>>("kernel posix timer", "tai", 30ms);
    periodic<user::posix_timer<tai_clock>>("engine posix timer", "tai", 30ms);
    const auto every_25ms = [](auto timer, row& line) {
      return follow(std::move(timer), setting<monotonic_clock>::every(25ms), line);
    };
    start<kernel::itimer<itimer_kind::real>>("periodic", "kernel itimer", "ITIMER_REAL",
                                             "every 25 ms", every_25ms);
    start<user::itimer<itimer_kind::real>>("periodic", "engine itimer", "ITIMER_REAL",
                                           "every 25 ms", every_25ms);
    const auto again_and_again = [](auto timer, row& line) {
      return set_again_and_again(std::move(timer), 5ms, line);
    };
    start<kernel::timerfd<monotonic_clock>>("one-shot", "kernel timerfd", "monotonic",
                                            "after 5 ms, again and again", again_and_again);
    start<user::timerfd<monotonic_clock>>("one-shot", "engine timerfd", "monotonic",
                                          "after 5 ms, again and again", again_and_again);
    start<kernel::timerfd<realtime_clock>>(
        "absolute", "kernel timerfd", "realtime", "each 100 ms of the wall clock",
        [](auto timer, row& line) {
          const auto next =
              std::chrono::ceil<std::chrono::milliseconds>(realtime_clock::now()) + 100ms;
          return follow(std::move(timer),
                        setting<realtime_clock>::at(next, 100ms, cancel_on_clock_set), line);
        });

    asio::signal_set interrupted{context_, SIGINT, SIGTERM};
    interrupted.async_wait([this](auto, int) { context_.stop(); });

    timerfd<monotonic_clock> end{context_};
    end.expires_after(length);
    end.async_wait([this](auto ec, auto) {
      if (!ec) context_.stop();
    });

    timerfd<monotonic_clock> nap{context_};
    nap.expires_after(length / 2);
    nap.async_wait([this](auto ec, auto) {
      if (ec) return;
      stalled_ = true;
      std::this_thread::sleep_for(stall);  // the deliberate stall: nothing on this thread runs
    });

    asio::co_spawn(context_, draw_now_and_then(), rethrow);
    context_.run();
    draw();
    return judge();
  }

 private:
  static void rethrow(std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  }

  template <class Facility>
  void periodic(const char* keeper, const char* clock, nanoseconds interval) {
    using clock_type = typename Facility::clock_type;
    start<Facility>("periodic", keeper, clock, "every " + example::human(interval),
                    [interval](auto timer, row& line) {
                      const auto first = clock_type::now() + interval;
                      return follow(std::move(timer),
                                    chime::setting<clock_type>::at(first, interval), line);
                    });
  }

  template <class Facility, class Task>
  void start(const char* kind, const char* keeper, const char* clock, std::string asked,
             Task task) {
    row& line = rows_.emplace_back(kind, keeper, clock, std::move(asked));
    chime::error_code ec;
    chime::basic_timer<Facility> timer{context_, ec};
    if (ec)
      line.refused = ec.message();
    else
      asio::co_spawn(context_, task(std::move(timer), line), rethrow);
  }

  asio::awaitable<void> draw_now_and_then() {
    chime::timerfd<chime::monotonic_clock> frame{co_await asio::this_coro::executor};
    frame.expires_every(ci_ ? 1s : 100ms);
    for (;;) {
      co_await frame.async_wait();
      if (draws_) draw();
    }
  }

  void draw() {
    if (draws_ && drawn_) std::printf("\x1b[%zuA", rows_.size() + 2);
    drawn_ = true;
    std::printf("%-9s %-18s %-15s %-29s %7s %8s %9s %9s %9s\n", "kind", "kept by", "clock",
                "asked for", "expired", "overrun", "late p50", "p99", "max");
    for (row& r : rows_) {
      std::printf("%-9s %-18s %-15s %-29s ", r.kind.c_str(), r.keeper.c_str(), r.clock.c_str(),
                  r.asked.c_str());
      if (!r.refused.empty()) {
        std::printf("refused: %s\n", r.refused.c_str());
        continue;
      }
      std::printf(
          "%7llu %8llu %9s %9s %9s\n", static_cast<unsigned long long>(r.expirations),
          static_cast<unsigned long long>(r.overruns), example::human(r.late.quantile(0.5)).c_str(),
          example::human(r.late.quantile(0.99)).c_str(), example::human(r.late.max()).c_str());
    }
    std::printf("%s\x1b[K\n", stalled_
                                  ? "The program stalled on purpose for 150 ms: see the overruns."
                                  : "Halfway through, the program will stall on purpose.");
    std::fflush(stdout);
  }

  int judge() {
    for (row& r : rows_) {
      if (!r.refused.empty()) continue;
      const std::string who = r.kind + " " + r.keeper + " " + r.clock + ": ";
      if (r.late.empty()) continue;  // interrupted before it expired
      example::check(r.late.min() >= 0ns, who + "never early");
      example::check(r.expirations == r.by_rule, who + "every expiration reported, none twice");
      if (stalled_ && r.overruns_in_stall)
        example::check(r.overruns > 0, who + "the stall shows as overruns");
    }
    std::puts("Never early, nothing lost, nothing twice: checked for every line.");
    return 0;
  }

  bool ci_;
  bool draws_;
  bool drawn_ = false;
  bool stalled_ = false;
  asio::io_context context_{1};
  std::list<row> rows_;
};

}  // namespace

int main(int argc, char** argv) {
  const bool ci = example::in_ci(argc, argv);
  return tour{ci}.run(ci ? 1500ms : 5s);
}
