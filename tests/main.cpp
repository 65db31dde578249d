// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(BOOST_ASIO_HAS_IO_URING)
#include <liburing.h>
#endif
#if defined(__linux__)
#include "support/refuse_timers.hpp"

#include <cerrno>
#endif

namespace {

constexpr int skipped = 77;  // ctest shows this exit status as "Skipped"

// doctest calls a run without a single test case a success. That would hide a misspelt filter as
// well as a file that nobody compiles.
class nothing_ran : public doctest::IReporter {
 public:
  explicit nothing_ran(const doctest::ContextOptions&) {}

  static inline bool yes = true;

  void test_run_end(const doctest::TestRunStats& run) override {
    yes = run.numTestCasesPassingFilters == 0;
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

// A sandbox may refuse io_uring; then Asio could not even construct its context.
bool io_uring_refused() {
#if defined(BOOST_ASIO_HAS_IO_URING)
  io_uring ring;
  if (const int error = ::io_uring_queue_init(2, &ring, 0); error < 0) {
    std::printf("SKIPPED: this system refuses io_uring: %s\n", std::strerror(-error));
    return true;
  }
  ::io_uring_queue_exit(&ring);
#endif
  return false;
}

// PROGRAM --refuse=ENOSYS | EPERM | objects: the same tests where the kernel refuses its timers, so
// that the engine keeps the default ones.
bool refuse([[maybe_unused]] int argc, [[maybe_unused]] char** argv) {
#if defined(__linux__)
  using support::refused;
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* option) { return std::strcmp(argv[i], option) == 0; };
    if (is("--refuse=ENOSYS")) return support::refuse_timers(refused::all_timers, ENOSYS);
    if (is("--refuse=EPERM")) return support::refuse_timers(refused::all_timers, EPERM);
    if (is("--refuse=objects")) return support::refuse_timers(refused::timer_objects, EPERM);
  }
#endif
  return true;
}

}  // namespace

REGISTER_LISTENER("nothing_ran", 1, nothing_ran);

int main(int argc, char** argv) {
  if (io_uring_refused()) return skipped;
  if (!refuse(argc, argv)) {
    std::puts("SKIPPED: no seccomp filter can be installed here");
    return skipped;
  }
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (context.shouldExit()) return result;  // it only printed its help or a list
  if (nothing_ran::yes) {
    std::puts("no test ran");
    return EXIT_FAILURE;
  }
  return result;
}
