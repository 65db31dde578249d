// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// A sampling profiler: ITIMER_PROF expires with the CPU time that the program uses, and each time
// the profiler looks what the program is doing. Beside it ITIMER_VIRTUAL counts user time only, so
// the two together tell work of the program's own from work that the kernel does for it.
// Prints a flat profile and writes it as a picture. Usage: profiler [--ci] [FILE.svg]

#include <chime/chime.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <support/check.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto interval = 4ms;

// ThreadSanitizer keeps signals back until the program calls something that it watches.
#if defined(__SANITIZE_THREAD__)
constexpr bool signals_come_at_once = false;
#elif defined(__has_feature)
constexpr bool signals_come_at_once = !__has_feature(thread_sanitizer);
#else
constexpr bool signals_come_at_once = true;
#endif

/// What the program may be doing. The sampler reads it while the program changes it.
enum class task : unsigned { sieve, hash, read_zeros, write_file, count };
constexpr std::array names{"sieve", "hash", "read /dev/zero", "write a file"};
constexpr auto tasks = static_cast<std::size_t>(task::count);
constexpr bool is_system_work(std::size_t t) { return t >= 2; }

class profiler {
 public:
  profiler() {
    // The signals go to the threads that do not block them: the sampler's is none of them.
    ::sigset_t timers, before;
    ::sigemptyset(&timers);
    ::sigaddset(&timers, SIGPROF);
    ::sigaddset(&timers, SIGVTALRM);
    ::pthread_sigmask(SIG_BLOCK, &timers, &before);
    thread_ = std::thread{[this] {
      const auto rethrow = [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
      };
      asio::co_spawn(context_, sample(prof_, prof_samples_), rethrow);
      asio::co_spawn(context_, sample(virt_, virt_samples_), rethrow);
      context_.run();
    }};
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~profiler() {
    context_.stop();
    thread_.join();
  }

  void enter(task t) { now_ = static_cast<std::size_t>(t); }
  [[nodiscard]] std::uint64_t prof(std::size_t t) const { return prof_samples_[t]; }
  [[nodiscard]] std::uint64_t virt(std::size_t t) const { return virt_samples_[t]; }

 private:
  using counts = std::array<std::atomic<std::uint64_t>, tasks>;

  template <class Timer>
  asio::awaitable<void> sample(Timer& timer, counts& samples) {
    timer.expires_every(interval);
    for (;;) {
      const auto tick = co_await timer.async_wait();
      samples[now_] += tick.expirations;  // the overruns too: all of them are CPU time
    }
  }

  std::atomic<std::size_t> now_ = 0;
  counts prof_samples_{};
  counts virt_samples_{};
  asio::io_context context_{1};
  chime::itimer<chime::itimer_kind::prof> prof_{context_};
  chime::itimer<chime::itimer_kind::virt> virt_{context_};
  std::thread thread_;
};

/// The workload, a piece at a time.
struct workload {
  workload()
      : zeros(::open("/dev/zero", O_RDONLY)), file(::memfd_create("profiled", MFD_CLOEXEC)) {}
  ~workload() {
    ::close(zeros);
    ::close(file);
  }

  void piece_of(task t) {
    switch (t) {
      case task::sieve:
        for (auto& flag : buffer) flag = 1;
        for (std::size_t p = 2; p * p < buffer.size(); ++p)
          if (buffer[p])
            for (std::size_t n = p * p; n < buffer.size(); n += p) buffer[n] = 0;
        break;
      case task::hash:
        for (int i = 0; i < 4; ++i)
          for (const char c : buffer)
            hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
        break;
      case task::read_zeros:
        for (int i = 0; i < 40; ++i)
          example::check(::read(zeros, buffer.data(), buffer.size()) > 0, "zeros can be read");
        break;
      case task::write_file:
        for (int i = 0; i < 40; ++i)
          example::check(::pwrite(file, buffer.data(), buffer.size(), 0) > 0,
                         "a file can be written");
        break;
      case task::count: break;
    }
  }

  int zeros, file;
  std::vector<char> buffer = std::vector<char>(1 << 18);
  std::uint64_t hash = 14695981039346656037U;
};

/// Boxes as wide as their share: the program, user and system work, the tasks.
void draw(const char* file, const profiler& seen, std::uint64_t total) {
  std::FILE* const out = std::fopen(file, "w");
  example::check(out != nullptr, "the picture can be written");
  std::fputs(
      "<svg xmlns='http://www.w3.org/2000/svg' width='800' height='96' "
      "font-family='sans-serif' font-size='12'>\n",
      out);
  const auto box = [&](double from, double share, int level, const char* colour,
                       const std::string& text) {
    std::fprintf(out,
                 "<g><title>%s: %.1f %%</title><rect x='%.1f' y='%d' width='%.1f' height='30' "
                 "fill='%s' stroke='white'/><text x='%.1f' y='%d'>%s</text></g>\n",
                 text.c_str(), share * 100, from * 800, 64 - level * 32, share * 800, colour,
                 from * 800 + 4, 84 - level * 32, share < 0.05 ? "" : text.c_str());
  };
  const auto share = [&](std::size_t t) {
    return static_cast<double>(seen.prof(t)) / static_cast<double>(total);
  };
  box(0, 1, 0, "#f2c14e", "the program");
  box(0, share(0) + share(1), 1, "#f78154", "user work");
  box(share(0) + share(1), share(2) + share(3), 1, "#5fad56", "system work");
  double from = 0;
  for (std::size_t t = 0; t != tasks; ++t) {
    box(from, share(t), 2, is_system_work(t) ? "#b4dcae" : "#fbc3a8", names[t]);
    from += share(t);
  }
  std::fputs("</svg>\n", out);
  std::fclose(out);
}

}  // namespace

int main(int argc, char** argv) {
  const bool ci = example::in_ci(argc, argv);
  const char* const file =
      argc > 1 && std::strcmp(argv[argc - 1], "--ci") != 0 ? argv[argc - 1] : "profile.svg";
  // The kernel counts its timers' CPU time by the ticks that it finds a program at work: on a busy
  // machine that takes its time.
  const std::uint64_t enough = ci ? 25 : 150;

  profiler seen;
  workload work;
  for (bool more = true; more;) {
    more = false;
    for (std::size_t t = 0; t != tasks; ++t) {
      std::this_thread::sleep_for(20ms);  // no CPU time: the sampler takes what was before
      seen.enter(static_cast<task>(t));
      const auto start = chime::monotonic_clock::now();
      while (chime::monotonic_clock::now() - start < 100ms) work.piece_of(static_cast<task>(t));
      more = more || seen.prof(t) < enough;
    }
  }

  std::uint64_t total = 0;
  for (std::size_t t = 0; t != tasks; ++t) total += seen.prof(t);
  std::printf("%-16s %8s %7s %11s\n", "doing", "samples", "share", "in user mode");
  for (std::size_t t = 0; t != tasks; ++t) {
    const double user = static_cast<double>(seen.virt(t)) / static_cast<double>(seen.prof(t));
    std::printf("%-16s %8llu %6.1f%% %10.0f%%\n", names[t],
                static_cast<unsigned long long>(seen.prof(t)),
                100.0 * static_cast<double>(seen.prof(t)) / static_cast<double>(total), 100 * user);
    if (!signals_come_at_once) continue;
    if (is_system_work(t))
      example::check(user < 0.5, std::string{names[t]} + " is the kernel's work");
    else
      example::check(user > 0.6, std::string{names[t]} + " is the program's own work");
  }
  draw(file, seen, total);
  std::printf("%llu samples of %lld ms of CPU each; the picture is %s\n",
              static_cast<unsigned long long>(total), static_cast<long long>(interval / 1ms), file);
}
