// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

// Naive timers beside the models, and one driver per model that feeds both the same operations. The
// oracles know nothing of rules.hpp: they pass every expiry one by one, in 128 bits, so that
// nothing of theirs can wrap. Beside them an eager tally counts each deadline as time goes by; E4
// (conservation) compares it with what was reported plus what is pending.
//
// A driver eats bytes: random ones in the tests, libFuzzer's in tests/fuzz/models.cpp. It returns
// what differed first, or nothing.

#include <chime/engine/itimer_model.hpp>
#include <chime/engine/posix_timer_model.hpp>
#include <chime/engine/timerfd_model.hpp>
#include <support/int128.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>

namespace oracle {

using chime::clock_kind;
using chime::reference;
using chime::engine::base;
using std::chrono::nanoseconds;
using wide = support::int128;
namespace engine = chime::engine;

inline constexpr std::int64_t end_of_time = std::numeric_limits<std::int64_t>::max();
inline constexpr nanoseconds never = nanoseconds::max();

inline nanoseconds narrow(wide t) {
  return nanoseconds{t > end_of_time ? end_of_time : static_cast<std::int64_t>(t)};
}

/// The deadlines of one setting, one by one.
struct beat {
  wide next = 0;
  wide interval = 0;

  /// How many deadlines lie at or before `now`; passes them.
  std::uint64_t pass(wide now) {
    std::uint64_t n = 0;
    while (next <= now && next < end_of_time) {
      ++n;
      next += interval;
    }
    return n;
  }
  [[nodiscard]] nanoseconds left(wide now) const {
    const wide to = next > end_of_time ? wide{end_of_time} : next;
    return to <= now ? nanoseconds{0} : narrow(to - now);
  }
};

/// Counts every expiry of a periodic timer that is armed once, as time goes by: E4.
struct tally {
  bool on = false;
  wide next = 0;
  wide interval = 0;
  std::uint64_t passed = 0;
  std::uint64_t reported = 0;

  void arm(wide first, wide every) { *this = {every > 0, first, every}; }
  void tick(wide now) {
    while (on && next <= now && next < end_of_time) {
      ++passed;
      next += interval;
    }
  }
};

class bytes {
 public:
  explicit bytes(std::span<const std::uint8_t> data) : data_{data} {}
  [[nodiscard]] bool more() const { return at_ < data_.size(); }
  unsigned next() { return more() ? data_[at_++] : 0u; }
  unsigned below(unsigned n) { return next() % n; }

  nanoseconds interval() {
    constexpr std::int64_t table[] = {0, 0, 1, 1, 2, 3, 7, 50, 1000, end_of_time, end_of_time - 3,
                                      -1};
    return nanoseconds{table[below(12)]};
  }
  /// A relative value, or an absolute one around `now`.
  nanoseconds value(wide now, bool absolute) {
    const unsigned b = next();
    if (b < 6) return nanoseconds{static_cast<std::int64_t>(end_of_time - b)};
    if (b < 12) return nanoseconds{0};
    if (b == 12) return nanoseconds{-1};
    return absolute ? nanoseconds{static_cast<std::int64_t>(now) + b - 128} : nanoseconds{b % 80};
  }

 private:
  std::span<const std::uint8_t> data_;
  std::size_t at_ = 0;
};

#define ORACLE_SAME(what, a, b)                                                               \
  do {                                                                                        \
    if (!((a) == (b))) return std::string{what} + " differs at step " + std::to_string(step); \
  } while (false)

// ---- timerfd
// ----------------------------------------------------------------------------------------

struct timerfd_naive {
  clock_kind clock;
  beat b{};
  wide interval = 0;
  enum { off, armed, waiting } state = off;
  bool zero = true;  ///< set to value 0, or never set: nothing remains
  std::uint64_t count = 0;
  bool cancels = false;
  bool canceled = false;
  bool relative = false;

  void look(wide now) {
    if (state != waiting) return;
    // The deadline that made it wait is counted already; take that back and count them all, one by
    // one.
    count = count - 1 + b.pass(now);
    state = armed;
  }
  bool expire(wide now) {
    if (state != armed || b.next > now || b.next >= end_of_time) return false;
    ++count;
    state = interval > 0 ? waiting : off;
    return true;
  }
  [[nodiscard]] nanoseconds left(wide now) const { return zero ? nanoseconds{0} : b.left(now); }
};

inline std::string run_timerfd(std::span<const std::uint8_t> data) {
  bytes in{data};
  constexpr clock_kind kinds[] = {clock_kind::monotonic,      clock_kind::realtime,
                                  clock_kind::realtime_alarm, clock_kind::boottime,
                                  clock_kind::boottime_alarm, clock_kind::realtime};
  const clock_kind clock = kinds[in.below(6)];
  const bool steps = chime::can_be_set(clock);
  engine::timerfd_model model{clock};
  timerfd_naive naive{.clock = clock};
  tally all;
  wide mono = 1000;
  wide real = 1'000'000;
  const auto on_real = [&](bool relative) {
    return steps && !(relative && clock == clock_kind::realtime);
  };
  const auto now_for = [&](bool relative) { return on_real(relative) ? real : mono; };

  for (int step = 0; in.more(); ++step) {
    const auto now = [&] { return now_for(naive.relative); };
    const nanoseconds t = narrow(now());
    switch (in.below(12)) {
      default: {  // time passes; the host is punctual, or late with one in eight
        const unsigned b = in.next();
        mono += b % 64;
        real += b % 64;
        all.tick(now());
        if (b / 64 != 3 || b % 2 == 0)
          ORACLE_SAME("wake", model.expire(narrow(now())), naive.expire(now()));
        break;
      }
      case 1: {  // the clock is set
        real += static_cast<int>(in.next()) - 128;
        all.on = all.on && !on_real(naive.relative);
        if (!steps) break;
        ORACLE_SAME("wake of a step", model.clock_was_set(), naive.cancels);
        if (naive.cancels) {
          naive.canceled = true;
          ++naive.count;
          all.on = false;
        }
        if (in.below(2) == 0)
          ORACLE_SAME("wake after a step", model.expire(narrow(now())), naive.expire(now()));
        break;
      }
      case 2:
      case 3: {  // settime
        const unsigned flags = in.next();
        const bool absolute = (flags & 1u) != 0;
        const bool cancel = (flags & 2u) != 0;
        const wide there = now_for(!absolute);
        const nanoseconds interval = in.interval();
        const nanoseconds value = in.value(there, absolute);
        const auto got =
            model.settime({value, interval, absolute ? reference::absolute : reference::relative,
                           cancel ? chime::on_clock_set::cancel : chime::on_clock_set::follow},
                          {t, narrow(there)});
        if (value.count() < 0 || interval.count() < 0) {
          ORACLE_SAME("EINVAL", got, (engine::set_result{engine::status::invalid, {}}));
          break;
        }
        naive.look(now());
        ORACLE_SAME("old setting", got.old,
                    (engine::timer_spec{naive.left(now()), narrow(naive.interval)}));
        naive.cancels = cancel && absolute &&
                        (clock == clock_kind::realtime || clock == clock_kind::realtime_alarm);
        naive.count = 0;
        naive.relative = !absolute;
        naive.interval = interval.count();
        const bool off = value.count() == 0;
        naive.state = off ? timerfd_naive::off : timerfd_naive::armed;
        naive.zero = off && (naive.zero || (clock != clock_kind::realtime_alarm &&
                                            clock != clock_kind::boottime_alarm));
        if (!off)
          naive.b = {absolute ? wide{value.count()} : there + value.count(), interval.count()};
        const bool refused = !off && naive.cancels && naive.canceled;
        if (refused) naive.canceled = false;
        ORACLE_SAME("ECANCELED of settime", got.error,
                    refused ? engine::status::canceled : engine::status::ok);
        all.arm(naive.b.next, off ? wide{0} : naive.b.interval);
        all.tick(now());
        if (in.below(2) == 0)
          ORACLE_SAME("wake at once", model.expire(narrow(now())), naive.expire(now()));
        break;
      }
      case 4: {  // gettime
        const auto got = model.gettime(t);
        naive.look(now());
        ORACLE_SAME("gettime", got,
                    (engine::timer_spec{naive.left(now()), narrow(naive.interval)}));
        break;
      }
      case 5:
      case 6:
      case 7: {  // read
        const bool blocking = in.below(2) != 0;
        const auto got =
            model.read(t, blocking ? engine::reader::blocking : engine::reader::non_blocking);
        if (blocking && naive.count == 0) {
          ORACLE_SAME("a reader that waits", got, (engine::timerfd_read{engine::status::again}));
          break;
        }
        if (naive.cancels && naive.canceled) {
          naive.canceled = false;
          naive.count = 0;
          if (naive.state == timerfd_naive::waiting) naive.state = timerfd_naive::off;
          all.on = false;
          ORACLE_SAME("ECANCELED", got, (engine::timerfd_read{engine::status::canceled}));
          break;
        }
        if (naive.count != 0) naive.look(now());
        if (naive.count == 0 && !blocking) {
          ORACLE_SAME("EAGAIN", got, (engine::timerfd_read{engine::status::again}));
        } else {
          ORACLE_SAME("read's error", got.error, engine::status::ok);
          ORACLE_SAME("count", got.count, naive.count);
          if (all.on)
            ORACLE_SAME("scheduled", got.scheduled, narrow(naive.b.next - naive.b.interval));
        }
        all.reported += naive.count;
        naive.count = 0;
        break;
      }
      case 8: {  // TFD_IOC_SET_TICKS
        const std::uint64_t n =
            in.below(5) - (in.below(9) == 0 ? std::uint64_t{5} : 0);  // may wrap, as the kernel's
        const auto got = model.set_ticks(n);
        if (n == 0) {
          ORACLE_SAME("SET_TICKS 0", got, engine::status::invalid);
        } else if (naive.cancels && naive.canceled) {
          naive.canceled = false;
          ORACLE_SAME("SET_TICKS canceled", got, engine::status::canceled);
        } else {
          naive.count = n;
          all.on = false;
          ORACLE_SAME("SET_TICKS", got, engine::status::ok);
        }
        break;
      }
    }
    ORACLE_SAME("readable", model.readable(), naive.count != 0);
    ORACLE_SAME("next deadline", model.next_deadline(),
                naive.state == timerfd_naive::armed ? narrow(naive.b.next) : never);
    ORACLE_SAME("base", on_real(naive.relative),
                model.filed_on() == base::realtime || model.filed_on() == base::tai);
    if (all.on) {  // E4, whatever the host did: a copy is expired and emptied
      auto copy = model;
      copy.expire(narrow(now()));
      ORACLE_SAME("conservation", all.passed, all.reported + copy.read(narrow(now())).count);
    }
  }
  return {};
}

// ---- POSIX timer
// ------------------------------------------------------------------------------------

inline std::string run_posix(std::span<const std::uint8_t> data) {
  bytes in{data};
  constexpr clock_kind kinds[] = {clock_kind::monotonic, clock_kind::realtime, clock_kind::tai,
                                  clock_kind::process_cpu};
  const clock_kind clock = kinds[in.below(4)];
  const bool steps = chime::can_be_set(clock);
  const bool none = in.below(4) == 0;
  engine::posix_timer_model model{clock,
                                  none ? engine::notifies::never : engine::notifies::by_signal};
  beat b;
  enum { off, armed, waiting } state = off;
  enum { nothing, queued, parked } note = nothing;
  std::uint64_t passed = 0;
  int overrun = 0;
  bool relative = false;
  std::uint32_t tag = model.sequence();
  tally all;
  wide mono = 1000;
  wide real = 1'000'000;
  const auto now_for = [&](bool rel) {
    return steps && !(rel && clock == clock_kind::realtime) ? real : mono;
  };

  for (int step = 0; in.more(); ++step) {
    const auto now = [&] { return now_for(relative); };
    const nanoseconds t = narrow(now());
    const auto look = [&] {
      if (b.interval > 0 && (state == waiting || (none && state == armed))) passed += b.pass(now());
    };
    const auto reading = [&]() -> engine::timer_spec {
      look();
      if (state == off && !none) return {};
      const nanoseconds left = b.left(now());
      const bool untold = left.count() == 0 && state == armed && !none;
      return {untold ? nanoseconds{1} : left, narrow(b.interval)};
    };
    const auto expire = [&] {
      if (none || state != armed || b.next > now() || b.next >= end_of_time) return false;
      state = b.interval > 0 ? waiting : off;
      passed = b.interval > 0 ? 0 : 1;
      note = queued;
      return true;
    };
    const auto told = [&](bool send) {
      if (send) tag = model.sequence();
      return send;
    };
    switch (in.below(12)) {
      default: {
        const unsigned n = in.next();
        mono += n % 64;
        real += n % 64;
        all.tick(now());
        if (n / 64 != 3 || n % 2 == 0)
          ORACLE_SAME("notify", told(model.expire(narrow(now()))), expire());
        break;
      }
      case 1:
        real += static_cast<int>(in.next()) - 128;
        all.on = all.on && !(steps && now() == real);
        if (in.below(2) == 0)
          ORACLE_SAME("notify after a step", told(model.expire(narrow(now()))), expire());
        break;
      case 2:
      case 3: {
        const bool absolute = in.below(2) != 0;
        const wide there = now_for(!absolute);
        const nanoseconds interval = in.interval();
        const nanoseconds value = in.value(there, absolute);
        const auto got =
            model.settime({value, interval, absolute ? reference::absolute : reference::relative},
                          {t, narrow(there)});
        if (value.count() < 0 || interval.count() < 0) {
          ORACLE_SAME("EINVAL", got, (engine::set_result{engine::status::invalid, {}}));
          break;
        }
        ORACLE_SAME("old setting", got, (engine::set_result{engine::status::ok, reading()}));
        note = nothing;
        passed = 0;
        overrun = 0;
        relative = !absolute;
        state = value.count() == 0 ? off : armed;
        if (state == armed) {
          b = {absolute ? wide{value.count()} : there + value.count(), interval.count()};
        } else {  // without notification the old deadline is left standing, except on CPU clocks
          b = {none && clock != clock_kind::process_cpu ? b.next : wide{0}, 0};
        }
        all.arm(b.next, none ? wide{0} : b.interval);
        all.tick(now());
        if (in.below(2) == 0)
          ORACLE_SAME("notify at once", told(model.expire(narrow(now()))), expire());
        break;
      }
      case 4: ORACLE_SAME("gettime", model.gettime(t), reading()); break;
      case 5:
      case 6:
      case 7: {
        const std::uint32_t which = tag - (in.below(8) == 0 ? 1u : 0u);
        const auto got = model.accept(t, which);
        if (which != tag || note != queued) {
          ORACLE_SAME("a leftover", got.counts, false);
          break;
        }
        look();
        ORACLE_SAME("acceptance", got.counts, true);
        ORACLE_SAME("expirations", got.expirations, passed);
        if (all.on) ORACLE_SAME("scheduled", got.scheduled, narrow(b.next - b.interval));
        overrun = passed == 0 ? 0 : static_cast<int>(passed - 1);
        all.reported += passed;
        passed = 0;
        note = nothing;
        if (state == waiting) state = armed;
        break;
      }
      case 8:
        model.ignored();
        if (note != nothing) note = state == waiting ? parked : nothing;
        break;
      case 9:
        ORACLE_SAME("no longer ignored", told(model.no_longer_ignored()), note == parked);
        if (note == parked) note = queued;
        break;
    }
    ORACLE_SAME("getoverrun", model.getoverrun(), overrun);
    ORACLE_SAME("next deadline", model.next_deadline(),
                state == armed && !none ? narrow(b.next) : never);
    if (all.on) {
      auto copy = model;
      copy.no_longer_ignored();
      copy.expire(narrow(now()));
      ORACLE_SAME("conservation", all.passed,
                  all.reported + copy.accept(narrow(now()), copy.sequence()).expirations);
    }
  }
  return {};
}

// ---- interval timers
// --------------------------------------------------------------------------------

inline nanoseconds micros(nanoseconds d) { return d - nanoseconds{d.count() % 1000}; }

inline std::string run_itimer(std::span<const std::uint8_t> data) {
  bytes in{data};
  constexpr nanoseconds tick{400};
  const bool cpu = in.below(2) != 0;
  engine::real_itimer_model real_model;
  engine::cpu_itimer_model cpu_model{base::user_cpu, tick};
  beat b;
  enum { off, armed, waiting } state = off;
  bool pending = false;
  std::uint64_t fired = 0;
  tally all;
  wide now = 1000;

  for (int step = 0; in.more(); ++step) {
    const auto reading = [&]() -> engine::timer_spec {
      const nanoseconds interval = micros(narrow(b.interval));
      if (state != armed) return {nanoseconds{0}, interval};
      const nanoseconds left = b.left(now);
      return {micros(left.count() > 0 ? left : cpu ? tick : nanoseconds{1000}), interval};
    };
    const auto set = [&](nanoseconds value, nanoseconds interval) {
      state = value.count() == 0 ? off : armed;
      b = {now + value.count() + (cpu ? tick.count() : 0),
           state == off && !cpu ? wide{0} : wide{interval.count()}};
      all.arm(b.next, state == off ? wide{0} : b.interval);
      all.on = all.on && !pending;  // a leftover signal would be counted with the new ones (I6)
      if (pending) fired = 1;       // of which there is one
      all.tick(now);
    };
    const auto expire = [&] {
      if (state != armed || b.next > now || b.next >= end_of_time) return false;
      ++fired;
      pending = true;
      if (b.interval == 0) {
        state = off;
      } else if (cpu) {
        b.next += b.interval;
      } else {
        state = waiting;
      }
      return true;
    };
    switch (in.below(10)) {
      default: {
        now += in.next() * 7;
        all.tick(now);
        const nanoseconds t = narrow(now);
        if (in.below(4) != 0)
          ORACLE_SAME("signal", cpu ? cpu_model.expire(t) : real_model.expire(t), expire());
        break;
      }
      case 1:
      case 2: {
        const nanoseconds interval = in.interval();
        const nanoseconds value = in.value(now, false);
        const engine::timer_spec next{value, interval};
        const auto got =
            cpu ? cpu_model.settime(next, narrow(now)) : real_model.settime(next, narrow(now));
        if (value.count() < 0 || interval.count() < 0) {
          ORACLE_SAME("EINVAL", got, (engine::set_result{engine::status::invalid, {}}));
          break;
        }
        ORACLE_SAME("old setting", got, (engine::set_result{engine::status::ok, reading()}));
        set(value, interval);
        break;
      }
      case 3:
        ORACLE_SAME("getitimer",
                    cpu ? cpu_model.gettime(narrow(now)) : real_model.gettime(narrow(now)),
                    reading());
        break;
      case 4:
      case 5: {
        const auto got = cpu ? cpu_model.accept(narrow(now)) : real_model.accept(narrow(now));
        std::uint64_t n = cpu ? std::exchange(fired, 0) : pending ? 1 : 0;
        if (state == waiting) {
          n = b.pass(now);
          state = armed;
          ORACLE_SAME("scheduled", got.scheduled, narrow(b.next - b.interval));
        }
        ORACLE_SAME("expirations", got.expirations, n);
        pending = false;
        all.reported += n;
        break;
      }
      case 6:
        if (cpu) {
          cpu_model.ignored();
        } else {
          real_model.ignored();
        }
        fired = 0;
        all.on = all.on && !cpu;
        pending = false;
        break;
      case 7: {
        if (cpu) break;
        const unsigned seconds = in.below(3);
        const nanoseconds left = state != armed             ? nanoseconds{0}
                                 : b.left(now).count() == 0 ? nanoseconds{1000}
                                                            : b.left(now);
        std::int64_t whole = left.count() / 1'000'000'000;
        const std::int64_t rest = left.count() % 1'000'000'000;
        if (rest >= 500'000'000 || (whole == 0 && rest > 0)) ++whole;
        ORACLE_SAME("alarm", real_model.alarm(seconds, narrow(now)), static_cast<unsigned>(whole));
        set(std::chrono::seconds{seconds}, {});
        break;
      }
    }
    ORACLE_SAME("next deadline", cpu ? cpu_model.next_deadline() : real_model.next_deadline(),
                state == armed ? narrow(b.next) : never);
    if (all.on && !cpu) {
      auto copy = real_model;
      copy.expire(narrow(now));
      ORACLE_SAME("conservation", all.passed, all.reported + copy.accept(narrow(now)).expirations);
    } else if (all.on) {
      auto copy = cpu_model;
      while (copy.expire(narrow(now))) continue;  // a look for each deadline it is behind
      ORACLE_SAME("conservation", all.passed, all.reported + copy.accept(narrow(now)).expirations);
    }
  }
  return {};
}

#undef ORACLE_SAME

}  // namespace oracle
