// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
//
// The itimer models beside the kernel's: ITIMER_REAL and alarm in random operations, the CPU ones
// in the scenarios that rules I3 and I5 name. Needs root (timer_list). Usage: itimer [seed]
// [operations]

#include "beside.hpp"

#include <chime/engine/itimer_model.hpp>

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <string>

using namespace diff;
using engine::base;

namespace {

void on_signal(int) {}
timeval tv(nanoseconds d) { return {d.count() / 1'000'000'000, d.count() % 1'000'000'000 / 1000}; }
engine::timer_spec spec(const itimerval& v) {
  const auto ns = [](timeval t) {
    return nanoseconds{t.tv_sec * 1'000'000'000 + t.tv_usec * 1000};
  };
  return {ns(v.it_value), ns(v.it_interval)};
}

struct real {
  engine::real_itimer_model model{};
  bool queued = false;
  std::string log{};

  [[noreturn]] void fail(const std::string& what) {
    std::printf("DIFFERS: %s\n%s", what.c_str(), log.c_str());
    std::exit(1);
  }
  static nanoseconds time() { return now(base::monotonic); }
  void settle() {
    constexpr auto slack = std::chrono::microseconds{600};
    const nanoseconds d = model.next_deadline();
    if (d > time() + slack) return;
    sleep_until(base::monotonic, d + slack < time() ? time() + slack : d + slack);
    if (model.expire(time())) queued = true;
  }
  /// A falling reading in whole microseconds: some instant between has it if the ends enclose it.
  void compare(const char* what, engine::timer_spec seen, nanoseconds t0, nanoseconds t1) {
    const auto high = model.gettime(t0);
    const auto low = model.gettime(t1);
    log += std::string{what} + " " + std::to_string(seen.value.count()) + "\n";
    if (seen.interval != high.interval || seen.value > high.value || seen.value < low.value) {
      fail(std::string{what} + ": model " + std::to_string(low.value.count()) + ".." +
           std::to_string(high.value.count()) + " interval " +
           std::to_string(high.interval.count()));
    }
  }
  void gettime() {
    settle();
    itimerval v;
    const nanoseconds t0 = time();
    getitimer(ITIMER_REAL, &v);
    compare("gettime", spec(v), t0, time());
  }
  nanoseconds set_at(nanoseconds value, nanoseconds t0, nanoseconds t1) {
    if (value.count() == 0 || value > std::chrono::seconds{1000}) return t1;
    const auto d = filed_deadline(base::monotonic, "it_real_fn", t0 + value, t1 + value);
    if (!d) fail("no such deadline on the monotonic base");
    return *d - value;
  }
  void settime(nanoseconds value, nanoseconds interval) {
    settle();
    log +=
        "settime " + std::to_string(value.count()) + " " + std::to_string(interval.count()) + "\n";
    itimerval next{tv(interval), tv(value)};
    if (value.count() < 0) next.it_value.tv_usec = 1'000'000;
    itimerval old;
    const nanoseconds t0 = time();
    const int error = setitimer(ITIMER_REAL, &next, &old) < 0 ? errno : 0;
    const nanoseconds t1 = time();
    if (error == 0) compare("old", spec(old), t0, t1);
    const auto got = model.settime({value, interval}, error == 0 ? set_at(value, t0, t1) : t1);
    if (static_cast<int>(got.error) != error) fail("errno " + std::to_string(error));
  }
  void alarm(unsigned seconds) {
    settle();
    log += "alarm " + std::to_string(seconds) + "\n";
    const nanoseconds t0 = time();
    const unsigned old = ::alarm(seconds);
    const nanoseconds t1 = time();
    auto early = model;
    const unsigned most = early.alarm(seconds, t0);
    const unsigned least = model.alarm(seconds, set_at(std::chrono::seconds{seconds}, t0, t1));
    if (old != most && old != least)
      fail("alarm: kernel " + std::to_string(old) + ", model " + std::to_string(least));
  }
  void accept() {
    settle();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    const timespec zero{};
    const bool got = sigtimedwait(&set, nullptr, &zero) > 0;
    log += "accept " + std::to_string(got) + "\n";
    if (got != queued) fail("acceptance");
    if (got) model.accept(time());
    queued = false;
  }
};

nanoseconds used(clockid_t c) {
  timespec t;
  clock_gettime(c, &t);
  return ns(t);
}
volatile int hits = 0;
void count(int) { hits = hits + 1; }

void cpu(int which, int signo, const char* name) {
  using namespace std::chrono_literals;
  constexpr nanoseconds tick = 4ms;
  const auto need = [&](bool ok, const char* what) {
    if (!ok) std::printf("DIFFERS: %s: %s\n", name, what), std::exit(1);
  };
  engine::cpu_itimer_model m{base::user_cpu, tick};
  signal(signo, count);
  itimerval v{tv(5ms), tv(1s)};
  itimerval old;
  setitimer(which, &v, nullptr);
  m.settime({1s, 5ms}, 0ns);
  getitimer(which, &old);
  need(spec(old).value <= m.gettime(0ns).value && spec(old).value >= m.gettime(2 * tick).value,
       "I5: a tick is added");
  v.it_value = {};
  setitimer(which, &v, nullptr);
  m.settime({0ns, 5ms}, 0ns);
  getitimer(which, &old);
  need(spec(old) == m.gettime(0ns), "I3: the interval is kept");
  // One expiry a look, however far behind.
  v = {tv(1us), tv(1us)};
  setitimer(which, &v, nullptr);
  m.settime({1us, 1us}, 0ns);
  hits = 0;
  const nanoseconds start = used(CLOCK_PROCESS_CPUTIME_ID);
  while (used(CLOCK_PROCESS_CPUTIME_ID) < start + 100ms) continue;
  const int kernel = hits;
  getitimer(which, &old);
  int model = 0;
  for (nanoseconds look = tick; look <= 100ms; look += tick) model += m.expire(look) ? 1 : 0;
  std::printf("%s: 1 us interval, 100 ms of CPU: kernel %d, model %d signals\n", name, kernel,
              model);
  // A virtual machine whose ticks were stolen has looked less often.
  need(kernel >= 1 && kernel <= model + 2, "I5: at most once a look");
  need(spec(old).value == tick && m.gettime(100ms).value == tick, "I5: due at the next look");
  v = {};
  setitimer(which, &v, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  const auto [seed, operations] = start(argc, argv, 1000);
  std::mt19937_64 random{seed};
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGALRM, on_signal);
  real r;
  for (int i = 0; i < operations; ++i) {
    switch (below(12)) {
      case 0:
      case 1: {
        constexpr std::int64_t intervals[] = {0, 1, 10, 77, 3000, 3000, 5'000'000};
        const std::int64_t value = below(6) == 0 ? 0 : below(20) == 0 ? -1 : 9000 + below(9000);
        r.settime(std::chrono::microseconds{value}, std::chrono::microseconds{intervals[below(7)]});
        break;
      }
      case 2: r.alarm(static_cast<unsigned>(below(3))); break;
      case 3:
      case 4: r.gettime(); break;
      case 5:
        r.settle();
        kill(getpid(), SIGALRM);
        r.queued = true;
        r.log += "kill\n";
        break;
      case 6:
        r.settle();
        signal(SIGALRM, SIG_IGN);  // discards what is pending
        signal(SIGALRM, on_signal);
        r.model.ignored();
        r.queued = false;
        r.log += "ignored\n";
        break;
      case 7:
      case 8: {
        const timespec nap = ts(nanoseconds{below(9'000'000)});
        nanosleep(&nap, nullptr);
        break;
      }
      default: r.accept(); break;
    }
  }
  std::printf("REAL: %d operations agree\n", operations);
  // I8 at the half: 2.5 s and a little less.
  for (const auto& [us, expected] :
       {std::pair{2'499'000, 2u}, {2'600'000, 3u}, {1000, 1u}, {1'400'000, 1u}}) {
    itimerval v{{}, tv(std::chrono::microseconds{us})};
    setitimer(ITIMER_REAL, &v, nullptr);
    engine::real_itimer_model m;
    m.settime({std::chrono::microseconds{us}, {}}, nanoseconds{0});
    const unsigned kernel = ::alarm(0);
    if (kernel != expected || m.alarm(0, nanoseconds{500}) != expected)
      std::printf("DIFFERS: alarm %d\n", us), std::exit(1);
  }
  cpu(ITIMER_VIRTUAL, SIGVTALRM, "VIRTUAL");
  cpu(ITIMER_PROF, SIGPROF, "PROF");
}
