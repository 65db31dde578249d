// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/shim/aio.hpp>
#include <chime/shim/aio_ring.hpp>
#include <chime/shim/iocb.hpp>

#include <support/aio.hpp>
#include <support/in_child.hpp>
#include <support/kernel_timerfd.hpp>
#include <support/no_leak.hpp>

#include <doctest/doctest.h>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace support;
using shim::aio_context_id;
using shim::io_event;
using shim::iocb;

namespace {

class no_leaks : no_leak, no_aio_leak {};

const auto nobody = static_cast<aio_context_id>(12345);
void* const nowhere = reinterpret_cast<void*>(8);  // an address that faults
constexpr shim::timespec at_once{0, 0};

shim::aio_handle make_context(unsigned capacity = 16) {
  auto made = shim::io_setup(capacity);
  REQUIRE_EQ(error_of(made), 0);
  return *std::move(made);
}

int submit_error(const shim::aio_handle& c, iocb what) {
  iocb* const list[] = {&what};
  return error_of(shim::io_submit(c.get(), list));
}

void submit(const shim::aio_handle& c, iocb& what) {
  iocb* const list[] = {&what};
  REQUIRE_EQ(shim::io_submit(c.get(), list).value(), 1);
}

/// The event of an operation that is in flight alone.
io_event next_event(const shim::aio_handle& c) {
  io_event came{};
  const shim::timespec patience{slack.count() / 1000, 0};
  REQUIRE_EQ(shim::io_getevents(c.get(), 1, {&came, 1}, &patience).value(), 1);
  return came;
}

/// What an operation comes to: its count, or errno made negative.
std::int64_t outcome_of(const shim::aio_handle& c, iocb what) {
  submit(c, what);
  const auto came = shim::outcome(next_event(c));
  return came ? *came : -came.error().value();
}

std::uint64_t rung(int eventfd) {
  std::uint64_t n = 0;
  return ::read(eventfd, &n, sizeof n) == sizeof n ? n : 0;
}

}  // namespace

TEST_CASE_FIXTURE(no_leaks, "A1: io_setup of 0 or absurdly many is EINVAL, of too many EAGAIN") {
  for (const unsigned n : {0U, 1U << 28, UINT_MAX / 2, UINT_MAX}) {
    CAPTURE(n);
    CHECK_EQ(error_of(shim::io_setup(n)), EINVAL);
  }
  std::FILE* const f = std::fopen("/proc/sys/fs/aio-max-nr", "re");
  unsigned most = 0;
  REQUIRE(f);
  const int read = std::fscanf(f, "%u", &most);
  std::fclose(f);
  REQUIRE_EQ(read, 1);
  if (most < 1U << 26) CHECK_EQ(error_of(shim::io_setup(most + 1)), EAGAIN);
}

TEST_CASE_FIXTURE(no_leaks, "A1: the output must hold 0, and a bad pointer is EFAULT") {
  ::aio_context_t id = 1;
  CHECK_EQ(error_of(::syscall(SYS_io_setup, 1, &id)), EINVAL);
  CHECK_EQ(id, 1);
  CHECK_EQ(error_of(::syscall(SYS_io_setup, 1, nowhere)), EFAULT);
}

TEST_CASE_FIXTURE(no_leaks, "A1: a context is no descriptor, maps a ring, and has an owner") {
  const auto descriptors = open_descriptors();
  const int before = aio_contexts();
  aio_context_id id{};
  {
    shim::aio_handle a = make_context(100);
    CHECK_EQ(open_descriptors(), descriptors);
    CHECK_EQ(aio_contexts(), before + 1);
    id = a.get();
    shim::aio_handle b = std::move(a);
    CHECK_FALSE(a.has_value());
    CHECK_EQ(b.get(), id);
    a = make_context();
    CHECK(a.get() != id);
    std::swap(a, b);
    CHECK_EQ(a.get(), id);
    CHECK_EQ(error_of(shim::io_submit(id, 0, nullptr)), 0);
  }
  CHECK_EQ(error_of(shim::io_submit(id, 0, nullptr)), EINVAL);
  shim::aio_handle c = make_context();
  const aio_context_id kept = c.release();
  CHECK_FALSE(c);
  CHECK_EQ(error_of(shim::io_destroy(kept)), 0);
}

TEST_CASE_FIXTURE(no_leaks,
                  "A2: io_destroy of what is no context is EINVAL; of one in use it cancels") {
  CHECK_EQ(error_of(shim::io_destroy({})), EINVAL);
  CHECK_EQ(error_of(shim::io_destroy(nobody)), EINVAL);
  auto c = make_context();
  const auto timer = far_off_timer();
  const shim::descriptor bell{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  iocb wait = shim::with_eventfd(shim::iocb_poll(timer.get(), POLLIN), bell.get());
  submit(c, wait);
  const aio_context_id id = c.release();
  CHECK_EQ(error_of(shim::io_destroy(id)), 0);  // and does not wait for the hour to pass
  CHECK_EQ(rung(bell.get()), 1);
  CHECK_EQ(error_of(shim::io_destroy(id)), EINVAL);
}

TEST_CASE_FIXTURE(no_leaks, "A3: io_submit's own arguments") {
  const auto c = make_context();
  iocb what = shim::iocb_poll(0, POLLIN);
  iocb* const list[] = {&what};
  CHECK_EQ(error_of(shim::io_submit(c.get(), -1, list)), EINVAL);
  CHECK_EQ(error_of(shim::io_submit(c.get(), LONG_MIN, list)), EINVAL);
  CHECK_EQ(error_of(shim::io_submit(nobody, 1, list)), EINVAL);
  CHECK_EQ(error_of(shim::io_submit(nobody, 0, list)), EINVAL);
  CHECK_EQ(shim::io_submit(c.get(), 0, list).value(), 0);
  CHECK_EQ(shim::io_submit(c.get(), 0, nullptr).value(), 0);
  CHECK_EQ(error_of(shim::io_submit(c.get(), 1, static_cast<iocb* const*>(nowhere))), EFAULT);
  iocb* const bad[] = {static_cast<iocb*>(nowhere)};
  CHECK_EQ(error_of(shim::io_submit(c.get(), bad)), EFAULT);
}

TEST_CASE_FIXTURE(no_leaks,
                  "A3: a bad iocb that comes first is the error, a later one ends the count") {
  const auto c = make_context();
  const auto timer = far_off_timer();
  iocb good = shim::iocb_poll(timer.get(), POLLIN);
  iocb also_good = good;
  iocb bad = shim::iocb_poll(-1, POLLIN);
  iocb* const bad_first[] = {&bad, &good};
  CHECK_EQ(error_of(shim::io_submit(c.get(), bad_first)), EBADF);
  iocb* const bad_third[] = {&good, &also_good, &bad, &good};
  CHECK_EQ(shim::io_submit(c.get(), bad_third).value(), 2);
}

TEST_CASE_FIXTURE(no_leaks, "A3: opcodes and fields that are not to be") {
  const auto c = make_context();
  const auto timer = far_off_timer();
  const int fd = timer.get();
  for (const int opcode : {4, 6, 9, 99, 65535}) {  // 4 and 6 were never to be used
    CAPTURE(opcode);
    CHECK_EQ(submit_error(c, shim::make_iocb(static_cast<std::uint16_t>(opcode), fd)), EINVAL);
  }
  const auto spoilt = [&](auto spoil) {
    iocb what = shim::iocb_poll(fd, POLLIN);
    spoil(what);
    return submit_error(c, what);
  };
  CHECK_EQ(spoilt([](iocb& i) { i.aio_reserved2 = 1; }), EINVAL);
  CHECK_EQ(spoilt([](iocb& i) { i.aio_nbytes = 1; }), EINVAL);
  CHECK_EQ(spoilt([](iocb& i) { i.aio_offset = 1; }), EINVAL);
  CHECK_EQ(spoilt([](iocb& i) { i.aio_rw_flags = 1; }), EINVAL);
  CHECK_EQ(spoilt([](iocb& i) { i.aio_buf = 0x10001; }), EINVAL);  // events have 16 bits
  CHECK_EQ(submit_error(c, shim::with_eventfd(shim::iocb_poll(fd, POLLIN), fd)), EINVAL);
  CHECK_EQ(submit_error(c, shim::with_eventfd(shim::iocb_poll(fd, POLLIN), -1)), EBADF);
}

TEST_CASE_FIXTURE(no_leaks, "A3: what reads and writes refuse") {
  const auto c = make_context();
  const auto file = temporary_file("hello");
  const int fd = file.get();
  std::array<char, 16> buffer{};
  const iocb read = shim::iocb_pread(fd, buffer.data(), buffer.size(), 0);
  CHECK_EQ(submit_error(c, shim::iocb_pread(fd, buffer.data(), 5, -5)), EINVAL);
  CHECK_EQ(submit_error(c, shim::iocb_pread(fd, buffer.data(), SIZE_MAX, 0)), EINVAL);
  CHECK_EQ(submit_error(c, shim::with_priority(read, static_cast<shim::ioprio>(7 << 13))), EINVAL);
  CHECK_EQ(submit_error(c, shim::with_rw_flags(read, 1 << 30)), EOPNOTSUPP);
  const auto pipe = make_pipe();
  CHECK_EQ(submit_error(c, shim::iocb_pread(pipe.writer.get(), buffer.data(), 5, 0)), EBADF);
  CHECK_EQ(submit_error(c, shim::iocb_pwrite(pipe.reader.get(), buffer.data(), 5, 0)), EBADF);
  const auto timer = far_off_timer();
  CHECK_EQ(submit_error(c, shim::iocb_fsync(timer.get())), EINVAL);
  // Only when it is done does it turn out that the buffer is none, or that there is nothing to read.
  CHECK_EQ(outcome_of(c, shim::iocb_pread(fd, nowhere, 5, 0)), -EFAULT);
  CHECK_EQ(outcome_of(c, shim::iocb_pread(timer.get(), buffer.data(), 8, 0)), -EAGAIN);
}

TEST_CASE_FIXTURE(no_leaks,
                  "A3: a context that is full says EAGAIN, and holds at least what was asked for") {
  const auto c = make_context(10);
  const auto timer = far_off_timer();
  std::vector<iocb> waits(5000, shim::iocb_poll(timer.get(), POLLIN));
  std::size_t begun = 0;
  int error = 0;
  for (; begun < waits.size() && error == 0; ++begun) {
    iocb* const list[] = {&waits[begun]};
    error = error_of(shim::io_submit(c.get(), list));
  }
  CHECK_EQ(error, EAGAIN);
  CHECK_GT(begun, 10);
}

TEST_CASE_FIXTURE(no_leaks, "A3: each opcode does what it is called after") {
  const auto c = make_context();
  const auto file = temporary_file("hello world");
  const int fd = file.get();
  std::array<char, 16> buffer{};
  CHECK_EQ(outcome_of(c, shim::iocb_pread(fd, buffer.data(), 5, 6)), 5);
  CHECK_EQ(std::string(buffer.data()), "world");
  CHECK_EQ(outcome_of(c, shim::iocb_pread(fd, buffer.data(), 5, 100)), 0);
  CHECK_EQ(outcome_of(c, shim::iocb_pwrite(fd, "WORLD!", 6, 6)), 6);
  std::array<char, 3> one{};
  std::array<char, 4> two{};
  const ::iovec into[] = {{one.data(), 3}, {two.data(), 4}};
  CHECK_EQ(outcome_of(c, shim::iocb_preadv(fd, into, 5)), 7);
  CHECK_EQ(std::string(one.data(), 3), " WO");
  CHECK_EQ(std::string(two.data(), 4), "RLD!");
  CHECK_EQ(outcome_of(c, shim::iocb_pwritev(fd, into, 0)), 7);
  CHECK_EQ(outcome_of(c, shim::iocb_pread(fd, buffer.data(), 8, 0)), 8);
  CHECK_EQ(std::string(buffer.data(), 8), " WORLD!O");
  CHECK_EQ(outcome_of(c, shim::iocb_fsync(fd)), 0);
  CHECK_EQ(outcome_of(c, shim::iocb_fdsync(fd)), 0);
  const iocb read = shim::iocb_pread(fd, buffer.data(), 5, 0);
  CHECK_EQ(outcome_of(c, shim::with_priority(read, shim::best_effort_priority(7))), 5);
  CHECK_EQ(outcome_of(c, shim::with_priority(read, shim::ioprio::idle)), 5);
}

TEST_CASE_FIXTURE(no_leaks, "A4: io_getevents refuses bad counts, contexts and addresses") {
  const auto c = make_context();
  std::array<io_event, 4> e{};
  const auto error = [&](aio_context_id id, long min, long nr, const shim::timespec* t) {
    const int plain = error_of(shim::io_getevents(id, min, nr, e.data(), t));
    CHECK_EQ(error_of(shim::io_pgetevents(id, min, nr, e.data(), t, nullptr)), plain);
    return plain;
  };
  CHECK_EQ(error(c.get(), -1, 4, &at_once), EINVAL);
  CHECK_EQ(error(c.get(), 0, -1, &at_once), EINVAL);
  CHECK_EQ(error(c.get(), LONG_MIN, LONG_MIN, &at_once), EINVAL);
  CHECK_EQ(error(c.get(), 3, 2, &at_once), EINVAL);
  CHECK_EQ(error(nobody, 0, 1, &at_once), EINVAL);
  CHECK_EQ(error({}, 0, 1, &at_once), EINVAL);
  CHECK_EQ(error(c.get(), 0, 0, &at_once), 0);
  // (The shim reads the timeout where the kernel's has another form.)
  CHECK_EQ(error_of(::syscall(SYS_io_getevents, c.get(), 1L, 1L, e.data(), nowhere)), EFAULT);
  const auto timer = expired_timer();
  iocb wait = shim::iocb_poll(timer.get(), POLLIN);
  submit(c, wait);
  CHECK_EQ(error_of(shim::io_getevents(c.get(), 1, 1, static_cast<io_event*>(nowhere), &at_once)),
           EFAULT);
  CHECK_EQ(next_event(c).res, POLLIN);  // it has not been lost
}

TEST_CASE_FIXTURE(no_leaks, "A4: a timeout of 0 polls, another waits that long for what there is") {
  const auto c = make_context();
  std::array<io_event, 4> e{};
  CHECK_EQ(shim::io_getevents(c.get(), 1, e, &at_once).value(), 0);
  const auto ready = expired_timer();
  iocb wait = shim::iocb_poll(ready.get(), POLLIN);
  submit(c, wait);
  const shim::timespec brief{0, 2'000'000};
  const auto before = now();
  CHECK_EQ(shim::io_getevents(c.get(), 2, e, &brief).value(), 1);
  CHECK_GE(now() - before, 2ms);
  CHECK_EQ(shim::io_pgetevents(c.get(), 1, 4, e.data(), &brief, nullptr).value(), 0);
}

TEST_CASE_FIXTURE(no_leaks, "A4: a negative timeout waits for ever, until a signal comes") {
  const auto c = make_context();
  struct ::sigaction silent{}, before{};
  silent.sa_handler = [](int) {};
  REQUIRE_EQ(::sigaction(SIGALRM, &silent, &before), 0);
  const ::itimerval again_and_again{{0, 2000}, {0, 2000}};  // the first may come too soon
  io_event e{};
  const shim::timespec negative{0, -1};
  ::setitimer(ITIMER_REAL, &again_and_again, nullptr);
  const int by_timeout = error_of(shim::io_getevents(c.get(), 1, {&e, 1}, &negative));
  const int by_none = error_of(shim::io_getevents(c.get(), 1, {&e, 1}));
  const ::itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  CHECK_EQ(by_timeout, EINTR);
  CHECK_EQ(by_none, EINTR);
}

TEST_CASE_FIXTURE(no_leaks, "A4: io_pgetevents has the signal mask replaced while it waits") {
  const auto c = make_context();
  static volatile sig_atomic_t handled;
  handled = 0;
  struct ::sigaction count{}, before{};
  count.sa_handler = [](int) { handled = handled + 1; };
  REQUIRE_EQ(::sigaction(SIGUSR1, &count, &before), 0);
  ::sigset_t with, without, mask;
  ::sigemptyset(&with);
  ::sigaddset(&with, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &with, &mask);
  without = mask;
  ::sigdelset(&without, SIGUSR1);
  ::raise(SIGUSR1);  // pending
  io_event e{};
  const shim::timespec patience{slack.count() / 1000, 0};
  CHECK_EQ(shim::io_pgetevents(c.get(), 1, 1, &e, &at_once, nullptr).value(), 0);
  CHECK_EQ(handled, 0);
  CHECK_EQ(error_of(shim::io_pgetevents(c.get(), 1, 1, &e, &patience, &without)), EINTR);
  CHECK_EQ(handled, 1);
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE_FIXTURE(no_leaks, "A5: a poll takes nothing, and a completion adds 1 to the eventfd") {
  const auto c = make_context();
  const shim::descriptor bell{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  const auto timer = make_timer();
  const int mark = 0;
  std::array<iocb, 3> waits;
  std::array<iocb*, 3> list;
  for (std::size_t i = 0; i < 3; ++i) {
    waits[i] = shim::with_data(shim::with_eventfd(shim::iocb_poll(timer.get(), POLLIN), bell.get()),
                               &mark);
    list[i] = &waits[i];
  }
  REQUIRE_EQ(shim::io_submit(c.get(), list).value(), 3);
  CHECK_EQ(rung(bell.get()), 0);
  arm(timer, abstime, 1ns, 1h);
  REQUIRE(becomes_readable(bell));
  std::array<io_event, 3> e{};
  const shim::timespec patience{slack.count() / 1000, 0};
  REQUIRE_EQ(shim::io_getevents(c.get(), 3, e, &patience).value(), 3);
  CHECK_EQ(rung(bell.get()), 3);
  for (const io_event& event : e) {
    CHECK_EQ(shim::outcome(event).value(), POLLIN);
    CHECK_EQ(event.res2, 0);
    CHECK_EQ(shim::data_of<const int>(event), &mark);
  }
  CHECK_GE(take(timer), 1);  // all of it is still there
}

TEST_CASE_FIXTURE(no_leaks,
                  "io_cancel: a poll, with EINPROGRESS and an event of result 0; nothing else") {
  const auto c = make_context();
  const auto timer = far_off_timer();
  iocb wait = shim::iocb_poll(timer.get(), POLLIN);
  CHECK_EQ(error_of(shim::io_cancel(c.get(), wait)), EINVAL);  // not in flight
  submit(c, wait);
  iocb same_but_elsewhere = wait;
  CHECK_EQ(error_of(shim::io_cancel(c.get(), same_but_elsewhere)), EINVAL);
  CHECK_EQ(error_of(shim::io_cancel(nobody, wait)), EINVAL);
  CHECK_EQ(error_of(shim::io_cancel(c.get(), *static_cast<iocb*>(nowhere))), EFAULT);
  wait.aio_key = 1;  // the kernel set it to 0
  CHECK_EQ(error_of(shim::io_cancel(c.get(), wait)), EINVAL);
  wait.aio_key = 0;
  CHECK_EQ(error_of(shim::io_cancel(c.get(), wait)), EINPROGRESS);
  const io_event came = next_event(c);
  CHECK_EQ(came.res, 0);
  CHECK_EQ(came.obj, reinterpret_cast<std::uintptr_t>(&wait));
  CHECK_EQ(error_of(shim::io_cancel(c.get(), wait)), EINVAL);

  const auto file = temporary_file("x");
  iocb sync = shim::iocb_fsync(file.get());
  submit(c, sync);
  CHECK_EQ(error_of(shim::io_cancel(c.get(), sync)), EINVAL);
  CHECK_EQ(next_event(c).res, 0);  // done, not cancelled
}

TEST_CASE_FIXTURE(no_leaks,
                  "the ring: what the kernel would hand out, in its order, and round its end") {
  const auto c = make_context(1);
  auto ring = shim::aio_ring::of(c.get());
  REQUIRE(ring);
  REQUIRE_GT(ring->size(), 3);
  const auto timer = expired_timer();
  iocb wait = shim::iocb_poll(timer.get(), POLLIN);
  std::array<io_event, 4> e{};
  CHECK_EQ(ring->take(e), 0);
  std::uint64_t begun = 0;
  std::uint64_t seen = 0;
  while (seen < 3 * ring->size()) {
    for (int i = 0; i < 3; ++i) {
      wait.aio_data = ++begun;
      submit(c, wait);
    }
    const std::size_t taken = ring->take({e.data(), 2});
    REQUIRE_EQ(taken, 2);
    CHECK_EQ(e[0].data, ++seen);
    CHECK_EQ(e[1].data, ++seen);
    if (begun % 2 == 0) {
      REQUIRE_EQ(ring->take(e), 1);
    } else {
      REQUIRE_EQ(shim::io_getevents(c.get(), 0, e, &at_once).value(), 1);
    }
    CHECK_EQ(e[0].data, ++seen);
    CHECK_EQ(ring->take(e), 0);
  }
}

TEST_CASE_FIXTURE(no_leaks, "the ring: not where it has another layout") {
  CHECK_FALSE(shim::aio_ring::of({}));
  const std::array<std::uint32_t, 8> known{0, 127, 0, 0, shim::aio_ring::magic, 1, 0, 32};
  const auto is_taken = [](std::array<std::uint32_t, 8> header) {
    return shim::aio_ring::of(
               static_cast<aio_context_id>(reinterpret_cast<std::uintptr_t>(header.data())))
        .has_value();
  };
  CHECK(is_taken(known));
  for (const auto& [index, value] : {std::pair{1, 0U}, {4, 0xa10a10a2U}, {6, 1U}, {7, 40U}}) {
    auto other = known;
    other[static_cast<std::size_t>(index)] = value;
    CHECK_FALSE(is_taken(other));
  }
}

TEST_CASE_FIXTURE(no_leaks, "a forked child has no context, though it sees the parent's ring") {
  const auto c = make_context();
  const auto timer = far_off_timer();
  iocb wait = shim::iocb_poll(timer.get(), POLLIN);
  submit(c, wait);
  io_event e{};
  CHECK_EQ(in_child([&] {
             iocb* const list[] = {&wait};
             if (error_of(shim::io_submit(c.get(), list)) != EINVAL) return 1;
             if (error_of(shim::io_getevents(c.get(), 0, {&e, 1}, &at_once)) != EINVAL) return 2;
             if (error_of(shim::io_cancel(c.get(), wait)) != EINVAL) return 3;
             if (error_of(shim::io_destroy(c.get())) != EINVAL) return 4;
             return 0;
           }),
           0);
  CHECK_EQ(error_of(shim::io_cancel(c.get(), wait)), EINPROGRESS);
}
