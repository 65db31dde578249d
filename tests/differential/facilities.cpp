// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// Random operations on two timers at the same time, one kept by the kernel and one by the engine,
// by way of basic_timer. Every answer must be what the rules allow at some instant while both were
// asked; where the rules leave no choice, both must give the same. A difference prints the shortest
// sequence of operations found that still shows one.
// Usage: facilities [seed] [sequences]

#include "support/slack.hpp"

#include <chime/basic_timer.hpp>
#include <chime/kernel/itimer.hpp>
#include <chime/kernel/posix_timer.hpp>
#include <chime/kernel/timerfd.hpp>
#include <chime/rules.hpp>
#include <chime/user/itimer.hpp>
#include <chime/user/posix_timer.hpp>
#include <chime/user/timerfd.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using chime::nanoseconds;

namespace {

struct operation {
  enum kind { after, at, invalid, disarm, get, take, wait, cancel, pass } what;
  nanoseconds value{};
  nanoseconds interval{};

  [[nodiscard]] std::string written() const {
    static constexpr const char* names[] = {"after", "at now +", "invalid", "disarm", "get",
                                            "take",  "wait",     "cancel",  "pass"};
    std::string out = names[what];
    if (what == after || what == at || what == pass || what == invalid)
      out += " " + std::to_string(value.count()) + " ns";
    if (interval != 0ns) out += ", every " + std::to_string(interval.count()) + " ns";
    return out;
  }
};

/// Whether a facility is an interval timer: in whole microseconds, 0 while it is pending (I4), and
/// what is pending stays so when it is set (I6).
template <class Facility>
constexpr bool is_itimer = false;
template <chime::itimer_kind Kind>
constexpr bool is_itimer<chime::kernel::itimer<Kind>> = true;
template <chime::itimer_kind Kind>
constexpr bool is_itimer<chime::user::itimer<Kind>> = true;

template <class Facility>
constexpr bool is_timerfd = false;
template <class Clock>
constexpr bool is_timerfd<chime::kernel::timerfd<Clock>> = true;

/// What one of the timers said, and what it had to say.
template <class Clock, class Facility>
class side {
 public:
  using setting = chime::setting<Clock>;

  explicit side(asio::io_context& context) : timer_{context} {}

  void set(const setting& wanted) {
    const auto before = Clock::now().time_since_epoch();
    chime::error_code ec;
    old_ = timer_.set(wanted, ec);
    refused_ = ec.value();
    const auto after = Clock::now().time_since_epoch();
    if (ec) return;
    left_over_ = is_itimer<Facility> && (left_over_ || is_pending(earliest_, after));
    reported_ = 0;
    armed_ = wanted.is_armed();
    interval_ = armed_ || !is_itimer<Facility> ? as_kept(wanted.interval) : 0ns;  // I3
    const nanoseconds value = as_kept(wanted.value);
    const bool is_absolute = wanted.is_absolute();
    earliest_ = is_absolute ? value : chime::rules::saturating_add(before, value);
    latest_ = is_absolute ? value : chime::rules::saturating_add(after, value);
  }

  void take() {
    const auto before = Clock::now().time_since_epoch();
    const auto patience = std::chrono::steady_clock::now() + support::slack;
    do {
      const auto got = timer_.try_take();
      account(got ? got->expirations : 0, got ? got->scheduled.time_since_epoch() : 0ns);
      // A timerfd counts from its interrupt on, and that comes late where the machine stalls.
    } while (is_timerfd<Facility> && is_behind(before) && complaint_.empty() &&
             std::chrono::steady_clock::now() < patience);
    if (is_behind(before))
      complain("reported " + std::to_string(reported_) + ", expired " +
               std::to_string(expired(latest_, before)));
  }

  void wait() {
    ++begun_;
    timer_.async_wait([this](chime::error_code ec, auto e) {
      ++ended_;
      if (ec == asio::error::operation_aborted) return;
      if (ec || e.expirations == 0) return complain("a wait brought " + ec.message());
      account(e.expirations, e.scheduled.time_since_epoch());
    });
  }

  void get() {
    const auto before = Clock::now().time_since_epoch();
    left_ = timer_.get();
    const auto after = Clock::now().time_since_epoch();
    if (left_.interval != interval_) complain("get: another interval");
    if (!armed_) {
      if (left_.value != 0ns) complain("get: disarmed, and yet time is left");
      return;
    }
    if (is_itimer<Facility> && (left_over_ || is_pending(earliest_, after))) {
      if (is_pending(latest_, before) && left_.value != 0ns)
        complain("get: pending, and yet time is left");
      return;
    }
    // Time to the deadline, or of a periodic timer that has expired to its next one.
    const auto next = [&](nanoseconds first, nanoseconds now) {
      const auto f = chime::rules::forward(first, interval_, now);
      return f.armed ? chime::rules::remaining(f.deadline, now) : 0ns;
    };
    const nanoseconds most = next(latest_, before);
    const nanoseconds least = next(earliest_, after) - (is_itimer<Facility> ? 1us : 0us);
    const bool passed = chime::rules::expirations_by(latest_, interval_, before) !=
                        chime::rules::expirations_by(earliest_, interval_, after);
    // Due, and the interrupt has not come yet: 1 ns of a POSIX timer, for 0 would say that it is off.
    const bool is_late =
        left_.value <= 1ns && chime::rules::expirations_by(earliest_, interval_, after) > reported_;
    if (!passed && !is_late && (left_.value > most || left_.value < least))
      complain("get: " + std::to_string(left_.value.count()) + " ns left, not in [" +
               std::to_string(least.count()) + ", " + std::to_string(most.count()) + "]");
  }

  void cancel() { timer_.cancel(); }
  void close() { timer_.close(); }
  [[nodiscard]] int refused() const noexcept { return refused_; }
  [[nodiscard]] bool all_ended() const noexcept { return begun_ == ended_; }
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
  [[nodiscard]] nanoseconds old_interval() const noexcept { return old_.interval; }

 private:
  /// Whether it should have reported more when asked at `when` or later.
  [[nodiscard]] bool is_behind(nanoseconds when) const {
    return reported_ < expired(latest_, when);
  }

  void account(std::uint64_t expirations, nanoseconds scheduled) {
    reported_ += expirations;
    const auto now = Clock::now().time_since_epoch();
    if (reported_ > expired(earliest_, now) + left_over_)
      complain("reported " + std::to_string(reported_) + ", expired only " +
               std::to_string(expired(earliest_, now)));
    if (expirations == 0 || left_over_) return;
    const nanoseconds last = (reported_ - 1) * interval_;
    if (scheduled < earliest_ + last || scheduled > latest_ + last || scheduled > now)
      complain("scheduled out of phase, or in the future");
  }

  /// What the timer makes of a duration.
  static nanoseconds as_kept(nanoseconds d) {
    return is_itimer<Facility> ? std::chrono::ceil<std::chrono::microseconds>(d) : d;
  }
  [[nodiscard]] std::uint64_t expired(nanoseconds first, nanoseconds when) const {
    return armed_ ? chime::rules::expirations_by(first, interval_, when) : 0;
  }
  [[nodiscard]] bool is_pending(nanoseconds first, nanoseconds when) const {
    return expired(first, when) > reported_;
  }

  void complain(const std::string& what) {
    if (complaint_.empty()) complaint_ = what;
  }

  chime::basic_timer<Facility> timer_;
  bool armed_ = false;
  nanoseconds earliest_{};  // its first deadline lies between these
  nanoseconds latest_{};
  nanoseconds interval_{};
  std::uint64_t reported_ = 0;  // since it was set
  bool left_over_ = false;      // one of the setting before may be among them
  setting old_, left_;
  int refused_ = 0;
  int begun_ = 0;
  int ended_ = 0;
  std::string complaint_;
};

/// Runs a sequence; the difference that it showed.
template <class Kernel, class Engine>
std::optional<std::string> run(const std::vector<operation>& sequence) {
  using Clock = typename Kernel::clock_type;
  asio::io_context context;
  side<Clock, Kernel> kernel{context};
  side<Clock, Engine> engine{context};
  const auto both = [&](auto f) {
    f(kernel);
    f(engine);
  };
  using setting = chime::setting<Clock>;
  for (const operation& op : sequence) {
    switch (op.what) {
      case operation::after:
      case operation::invalid:
        both([&](auto& s) { s.set(setting::after(op.value, op.interval)); });
        break;
      case operation::at: {
        const auto deadline = Clock::now() + op.value;
        both([&](auto& s) { s.set(setting::at(deadline, op.interval)); });
        break;
      }
      case operation::disarm: both([](auto& s) { s.set(setting::disarmed()); }); break;
      case operation::get: both([](auto& s) { s.get(); }); break;
      case operation::take: both([](auto& s) { s.take(); }); break;
      case operation::wait: both([](auto& s) { s.wait(); }); break;
      case operation::cancel: both([](auto& s) { s.cancel(); }); break;
      case operation::pass:
        context.restart();
        context.run_for(op.value);
        break;
    }
    if (kernel.refused() != engine.refused())
      return "one refused, the other did not, at: " + op.written();
    if (kernel.old_interval() != engine.old_interval())
      return "another old interval, at: " + op.written();
    if (!kernel.complaint().empty()) return "kernel: " + kernel.complaint();
    if (!engine.complaint().empty()) return "engine: " + engine.complaint();
  }
  both([](auto& s) { s.close(); });
  context.restart();
  context.run();
  if (!kernel.all_ended()) return "kernel: a wait never ended";
  if (!engine.all_ended()) return "engine: a wait never ended";
  return std::nullopt;
}

std::vector<operation> random_sequence(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return random() % n; };
  const auto span = [&] {  // of every magnitude up to 4 ms
    return nanoseconds{static_cast<std::int64_t>(1 + below(std::uint64_t{1} << below(23)))};
  };
  std::vector<operation> out;
  for (auto n = 5 + below(25); n > 0; --n) {
    operation op{static_cast<operation::kind>(below(9))};
    const bool is_periodic = below(2) == 0;
    switch (op.what) {
      case operation::after:
        op.value = span();
        if (is_periodic) op.interval = span();
        break;
      case operation::at:
        op.value = span() - 2ms;
        if (is_periodic) op.interval = span();
        break;
      case operation::invalid: op.value = -span(); break;
      case operation::pass: op.value = span() / 2; break;
      default: break;
    }
    out.push_back(op);
  }
  return out;
}

using runner = std::function<std::optional<std::string>(const std::vector<operation>&)>;

/// Leaves out whatever can be left out with the difference still there.
std::vector<operation> shortest(std::vector<operation> sequence, const runner& differs) {
  for (bool shrunk = true; shrunk;) {
    shrunk = false;
    for (std::size_t i = sequence.size(); i-- > 0;) {
      auto shorter = sequence;
      shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
      for (int attempt = 0; attempt < 3 && !shrunk; ++attempt)
        shrunk = differs(shorter).has_value();
      if (shrunk) {
        sequence = std::move(shorter);
        break;
      }
    }
  }
  return sequence;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t seed =
      argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::random_device{}();
  const int sequences = argc > 2 ? std::atoi(argv[2]) : 8000;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random{seed};
  using chime::boottime_clock, chime::monotonic_clock, chime::tai_clock;
  namespace kernel = chime::kernel;
  namespace user = chime::user;
  const std::pair<const char*, runner> kinds[] = {
      {"timerfd, monotonic", run<kernel::timerfd<monotonic_clock>, user::timerfd<monotonic_clock>>},
      {"timerfd, boottime", run<kernel::timerfd<boottime_clock>, user::timerfd<boottime_clock>>},
      {"POSIX timer, monotonic",
       run<kernel::posix_timer<monotonic_clock>, user::posix_timer<monotonic_clock>>},
      {"POSIX timer, tai", run<kernel::posix_timer<tai_clock>, user::posix_timer<tai_clock>>},
      {"interval timer, REAL",
       run<kernel::itimer<chime::itimer_kind::real>, user::itimer<chime::itimer_kind::real>>},
  };
  for (int i = 0; i < sequences; ++i) {
    const auto& [kind, differs] = kinds[static_cast<std::size_t>(i) % std::size(kinds)];
    const auto sequence = random_sequence(random);
    const auto difference = differs(sequence);
    if (!difference) continue;
    std::printf("DIFFERS (%s): %s\nshortest sequence found:\n", kind, difference->c_str());
    for (const operation& op : shortest(sequence, differs))
      std::printf("  %s\n", op.written().c_str());
    return 1;
  }
  std::printf("%d sequences, no difference\n", sequences);
  return 0;
}
