// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support.hpp"
#include "support/clock_setter.hpp"
#include "support/cpu_seconds.hpp"
#include "support/skipped.hpp"

using namespace preload_test;

namespace {

void* nowhere() {
  static void* const page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page;
}
template <class T>
T* bad() {
  return static_cast<T*>(nowhere());
}

/// Whether a thread of this process waits in a system call.
bool is_in(long call, pid_t thread) {
  std::ifstream file{"/proc/self/task/" + std::to_string(thread) + "/syscall"};
  long current = -1;
  return file >> current && current == call;
}

}  // namespace

TEST_CASE("the engine is under this program exactly where it is asked for") {
  const timerfd t;
  std::array<char, 64> target{};
  REQUIRE_GT(
      readlink(("/proc/self/fd/" + std::to_string(t.fd)).c_str(), target.data(), target.size() - 1),
      0);
  const char* const preloaded = std::getenv("LD_PRELOAD");
  const bool ours =
      preloaded != nullptr && std::string{preloaded}.find("chime_preload") != std::string::npos;
  CHECK_EQ(std::string{target.data()}, ours ? "anon_inode:[eventfd]" : "anon_inode:[timerfd]");
}

TEST_CASE("F1, C5: create judges its arguments") {
  CHECK_EQ(err(timerfd_create(CLOCK_MONOTONIC, 1)), -EINVAL);
  CHECK_EQ(err(timerfd_create(CLOCK_TAI, 0)), -EINVAL);
  CHECK_EQ(err(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0)), -EINVAL);
  CHECK_EQ(err(timerfd_create(-1, 0)), -EINVAL);
  const timerfd t{CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK};
  CHECK_EQ(fcntl(t.fd, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(fcntl(t.fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_NONBLOCK | O_RDWR);
}

TEST_CASE("F2, F15, E9: settime and gettime judge theirs, in order") {
  const timerfd t;
  const itimerspec good = spec(10s);
  itimerspec old{};
  CHECK_EQ(err(timerfd_settime(-1, 77, bad<itimerspec>(), nullptr)), -EFAULT);
  CHECK_EQ(err(timerfd_settime(t.fd, 0, nullptr, nullptr)), -EFAULT);
  CHECK_EQ(err(timerfd_settime(-1, 77, &good, nullptr)), -EINVAL);
  CHECK_EQ(err(timerfd_settime(-1, 0, &good, nullptr)), -EBADF);
  CHECK_EQ(err(timerfd_settime(0, 0, &good, nullptr)), -EINVAL);
  CHECK_EQ(err(timerfd_gettime(-1, &old)), -EBADF);
  CHECK_EQ(err(timerfd_gettime(0, &old)), -EINVAL);
  CHECK_EQ(err(timerfd_gettime(t.fd, bad<itimerspec>())), -EFAULT);
  CHECK_EQ(t.set(5s), 0);
  for (const itimerspec& wrong :
       {itimerspec{{0, 0}, {-1, 0}}, itimerspec{{0, 0}, {0, 1'000'000'000}},
        itimerspec{{0, -1}, {1, 0}}, itimerspec{{-1, 0}, {1, 0}}})
    CHECK_EQ(err(timerfd_settime(t.fd, 0, &wrong, nullptr)), -EINVAL);
  CHECK_GT(of(t.get().it_value), 1s);  // the earlier setting stands
  CHECK_LE(of(t.get().it_value), 5s);
  CHECK_EQ(err(timerfd_settime(t.fd, 0, &good, bad<itimerspec>())), -EFAULT);
  CHECK_GT(of(t.get().it_value), 5s);  // armed all the same
  errno = 4711;
  CHECK_EQ(timerfd_settime(t.fd, 0, &good, &old), 0);
  CHECK_EQ(timerfd_gettime(t.fd, &old), 0);
  CHECK_EQ(errno, 4711);
}

TEST_CASE("E1, E2, E3: never early, and every expiration is counted") {
  for (const int clock : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME}) {
    const timerfd t{clock, 0};
    const auto first = now(clock) + 20ms;
    REQUIRE_EQ(t.set(first, 3ms, TFD_TIMER_ABSTIME), 0);
    long count = t.take();
    CHECK_GE(now(clock), first);
    pass(20ms);
    const long before = 1 + (now(clock) - first) / 3ms;
    count += t.take();
    const long after = 1 + (now(clock) - first) / 3ms;
    CHECK_GE(count, before);
    CHECK_LE(count, after);
  }
}

TEST_CASE("F3, F4, F5, F6: what settime and gettime say") {
  const timerfd t;
  itimerspec old{};
  REQUIRE_EQ(t.set(1ms, 100s), 0);
  REQUIRE(comes(t.fd));
  CHECK_GT(of(t.get().it_value), 90s);  // the next deadline, and nothing is lost
  CHECK(readable(t.fd));
  CHECK_EQ(t.set(0ns, 5ms, 0, &old), 0);
  CHECK_GT(of(old.it_value), 90s);
  CHECK_EQ(of(old.it_interval), 100s);
  CHECK_FALSE(readable(t.fd));
  CHECK_EQ(t.take(), -EAGAIN);
  CHECK_EQ(of(t.get().it_value), 0ns);
  CHECK_EQ(of(t.get().it_interval), 5ms);
  REQUIRE_EQ(t.set(1ms), 0);
  REQUIRE(comes(t.fd));
  CHECK_EQ(t.set(0ns, 0ns, 0, &old), 0);
  CHECK_EQ(of(old.it_value), 0ns);
  REQUIRE_EQ(t.set(nanoseconds{1}, 0ns, TFD_TIMER_ABSTIME), 0);  // E7
  CHECK(readable(t.fd));
  CHECK_EQ(t.take(), 1);
}

TEST_CASE("F7: reads of every kind") {
  const timerfd t;
  std::uint64_t n = 0;
  std::array<std::uint32_t, 2> halves{};
  const std::array<iovec, 2> parts{iovec{&halves[0], 4}, iovec{&halves[1], 4}};
  CHECK_EQ(t.take(), -EAGAIN);
  REQUIRE_EQ(t.set(1ms), 0);
  REQUIRE(comes(t.fd));
  CHECK_EQ(err(read(t.fd, &n, 7)), -EINVAL);
  CHECK_EQ(err(pread(t.fd, &n, 8, 0)), -ESPIPE);
  CHECK_EQ(err(pwrite(t.fd, &n, 8, 0)), -ESPIPE);
  CHECK_EQ(err(write(t.fd, &n, 8)), -EINVAL);
  CHECK_EQ(lseek(t.fd, 5, SEEK_SET), 0);
  CHECK_EQ(readv(t.fd, parts.data(), 2), 8);
  CHECK_EQ(halves[0] + halves[1], 1);
  CHECK_EQ(t.take(), -EAGAIN);
  REQUIRE_EQ(t.set(1ms), 0);
  REQUIRE(comes(t.fd));
  CHECK_EQ(err(syscall(SYS_read, t.fd, bad<char>(), 8)), -EFAULT);
  CHECK_EQ(t.take(), -EAGAIN);  // lost
  REQUIRE_EQ(t.set(1ms), 0);
  REQUIRE(comes(t.fd));
  std::array<std::uint64_t, 8> wide{};
  CHECK_EQ(read(t.fd, wide.data(), sizeof wide), 8);
}

TEST_CASE("F7: reads that name a position or say that there is none; writes") {
  const timerfd t{CLOCK_MONOTONIC, 0};
  std::uint64_t n = 0;
  const iovec part{&n, sizeof n};
  CHECK_EQ(err(preadv2(t.fd, &part, 1, -1, RWF_NOWAIT)), -EAGAIN);
  REQUIRE_EQ(t.set(1ms, 1ms), 0);
  pass(4ms);
  CHECK_EQ(preadv2(t.fd, &part, 1, -1, 0), 8);
  CHECK_GE(n, 4);
  pass(4ms);
  CHECK_EQ(syscall(SYS_preadv2, t.fd, &part, 1L, -1L, -1L, RWF_NOWAIT), 8);
  CHECK_GE(n, 4);
  for (const int flags : {RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_APPEND, RWF_NOWAIT | RWF_HIPRI}) {
    pass(4ms);
    CHECK_EQ(preadv2(t.fd, &part, 1, -1, flags), 8);
    CHECK_GE(n, 4);
  }
  CHECK_EQ(err(preadv2(t.fd, &part, 1, -1, 1 << 30)), -EOPNOTSUPP);
  CHECK_EQ(err(preadv2(t.fd, &part, 1, 0, 0)), -ESPIPE);
  CHECK_EQ(err(pwritev2(t.fd, &part, 1, -1, 0)), -EINVAL);
  CHECK_EQ(err(pread(t.fd, &n, 8, -1)), -EINVAL);
  CHECK_EQ(err(lseek(t.fd, 0, 99)), -EINVAL);
  pass(2ms);
  CHECK_EQ(err(syscall(SYS_read, t.fd, &n, -1L)), -EFAULT);
  CHECK_GE(t.take(), 1);  // it is still there
}

TEST_CASE("F7: a read is a cancellation point also where it need not wait") {
  const timerfd t;
  REQUIRE_EQ(t.set(1ns, 1ns), 0);
  pthread_t reader{};
  const auto read_for_ever = [](void* fd) -> void* {
    for (std::uint64_t n = 0;;) [[maybe_unused]]
      const auto got = read(*static_cast<const int*>(fd), &n, sizeof n);
  };
  REQUIRE_EQ(pthread_create(&reader, nullptr, read_for_ever, const_cast<int*>(&t.fd)), 0);
  pthread_cancel(reader);
  void* result = nullptr;
  const timespec patience = to_timespec(now(CLOCK_REALTIME) + slack);
  REQUIRE_EQ(pthread_timedjoin_np(reader, &result, &patience), 0);
  CHECK_EQ(result, PTHREAD_CANCELED);
}

TEST_CASE("F7: so are a write and a close, which then has not closed") {
  for (const bool closes : {false, true}) {
    const timerfd t;
    struct call {
      int fd;
      bool closes;
    } what{t.fd, closes};
    pthread_t thread{};
    const auto make = [](void* of) -> void* {
      pthread_cancel(pthread_self());
      const call made = *static_cast<const call*>(of);
      const std::uint64_t n = 1;
      if (made.closes)
        close(made.fd);
      else if (write(made.fd, &n, sizeof n) == 8)
        return of;
      return nullptr;
    };
    REQUIRE_EQ(pthread_create(&thread, nullptr, make, &what), 0);
    void* result = nullptr;
    REQUIRE_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ(result, PTHREAD_CANCELED);
    CHECK_EQ(t.take(), -EAGAIN);
  }
}

TEST_CASE("F8: however many there are, and whatever their numbers, none can be written") {
  constexpr int count = 40;
  std::vector<std::unique_ptr<timerfd>> timers;
  std::vector<pollfd> set;
  for (int i = 0; i < count; ++i) {
    timers.push_back(std::make_unique<timerfd>());
    set.push_back({timers.back()->fd, POLLIN | POLLOUT, 0});
  }
  CHECK_EQ(poll(set.data(), set.size(), 0), 0);
  CHECK_EQ(set.back().events, POLLIN | POLLOUT);

  constexpr int high = 1100;
  const int fd = fcntl(timers[0]->fd, F_DUPFD, high);
  if (fd == -1 && errno == EINVAL)
    return support::skipped("a descriptor above 1100 takes RLIMIT_NOFILE");
  REQUIRE_GE(fd, high);
  std::array<fd_set, 2> long_set{};
  auto* const words = reinterpret_cast<unsigned long*>(long_set.data());
  words[fd / 64] |= 1UL << fd % 64;
  timeval at_once{};
  CHECK_EQ(select(fd + 1, nullptr, long_set.data(), nullptr, &at_once), 0);
  close(fd);
}

TEST_CASE("F7: a blocking read waits, and a handler interrupts it or not") {
  const timerfd t{CLOCK_MONOTONIC, 0};
  const auto end = now() + 30ms;
  REQUIRE_EQ(t.set(30ms), 0);
  CHECK_EQ(t.take(), 1);
  CHECK_GE(now(), end);
  for (const bool restarts : {true, false}) {
    struct sigaction a{};
    a.sa_handler = [](int) {};
    a.sa_flags = restarts ? SA_RESTART : 0;
    struct sigaction old{};
    sigaction(SIGUSR1, &a, &old);
    posix_timer shot{SIGUSR1};
    REQUIRE_EQ(t.set(200ms), 0);
    REQUIRE_EQ(shot.set(20ms), 0);
    CHECK_EQ(t.take(), restarts ? 1 : -EINTR);
    sigaction(SIGUSR1, &old, nullptr);
  }
}

TEST_CASE("F8: poll, select and epoll see the count, and never that it can be written") {
  const timerfd t;
  pollfd p{t.fd, POLLIN | POLLOUT, 0};
  CHECK_EQ(poll(&p, 1, 0), 0);
  CHECK_EQ(p.events, POLLIN | POLLOUT);
  REQUIRE_EQ(t.set(1ms), 0);
  REQUIRE(comes(t.fd));
  CHECK_EQ(poll(&p, 1, 0), 1);
  CHECK_EQ(p.revents, POLLIN);
  fd_set reads;
  fd_set writes;
  FD_ZERO(&reads);
  FD_ZERO(&writes);
  FD_SET(t.fd, &reads);
  FD_SET(t.fd, &writes);
  timeval none{};
  CHECK_EQ(select(t.fd + 1, &reads, &writes, nullptr, &none), 1);
  CHECK(FD_ISSET(t.fd, &reads));
  CHECK_FALSE(FD_ISSET(t.fd, &writes));
  CHECK_EQ(t.take(), 1);
  CHECK_EQ(poll(&p, 1, 0), 0);
  p.events = POLLWRNORM | POLLPRI;
  CHECK_EQ(poll(&p, 1, 0), 0);
  CHECK_EQ(p.events, POLLWRNORM | POLLPRI);
  timespec at_once{};
  CHECK_EQ(syscall(SYS_ppoll, &p, 1, &at_once, nullptr, 8), 0);
  CHECK_EQ(err(poll(bad<pollfd>(), 1, 0)), -EFAULT);
  CHECK_EQ(err(syscall(SYS_ppoll, &p, -1L, &at_once, nullptr, 8L)), -EINVAL);
  CHECK_EQ(err(select(t.fd + 1, nullptr, bad<fd_set>(), nullptr, &none)), -EFAULT);
  FD_SET(t.fd, &writes);
  timeval wrong{-1, 0};
  CHECK_EQ(err(select(t.fd + 1, nullptr, &writes, nullptr, &wrong)), -EINVAL);
  CHECK(FD_ISSET(t.fd, &writes));  // untouched
}

TEST_CASE("F16: a new edge for each setting of a one-shot that nobody reads") {
  const timerfd t;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event wanted{EPOLLIN | EPOLLOUT | EPOLLET, {}};
  REQUIRE_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, t.fd, &wanted), 0);
  epoll_event got{};
  CHECK_EQ(epoll_wait(epoll, &got, 1, 0), 0);
  for (int i = 0; i < 3; ++i) {
    REQUIRE_EQ(t.set(2ms), 0);
    CHECK_EQ(epoll_wait(epoll, &got, 1, 5000), 1);
    CHECK_EQ(got.events, EPOLLIN);
    CHECK_EQ(epoll_wait(epoll, &got, 1, 0), 0);
  }
  REQUIRE_EQ(t.set(1ms, 1ms), 0);
  CHECK_EQ(epoll_wait(epoll, &got, 1, 5000), 1);
  pass(10ms);
  CHECK_EQ(epoll_wait(epoll, &got, 1, 0), 0);  // once, until it is read
  close(epoll);
}

TEST_CASE("F9: duplicates are one timer, which lasts until the last is closed") {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  const int b = dup(fd);
  const int c = fcntl(fd, F_DUPFD_CLOEXEC, 100);
  CHECK_GE(c, 100);
  const int d = dup2(fd, 200);
  CHECK_EQ(d, 200);
  CHECK_EQ(dup3(fd, 201, O_CLOEXEC), 201);
  CHECK_EQ(err(dup3(fd, fd, 0)), -EINVAL);
  CHECK_EQ(dup2(fd, fd), fd);
  const itimerspec s = spec(1ms);
  REQUIRE_EQ(timerfd_settime(b, 0, &s, nullptr), 0);
  close(fd);
  CHECK(comes(c));
  std::uint64_t n = 0;
  CHECK_EQ(read(d, &n, 8), 8);
  CHECK_FALSE(readable(b));
  for (const int each : {b, c, d}) close(each);
  itimerspec got{};
  CHECK_EQ(timerfd_gettime(201, &got), 0);
  CHECK_EQ(err(close_range(201, 201, 0)), 0);
  CHECK_EQ(err(timerfd_gettime(201, &got)), -EBADF);
  const int pipe_end = memfd_create("x", 0);
  CHECK_EQ(err(timerfd_gettime(pipe_end, &got)), -EINVAL);
  close(pipe_end);
}

TEST_CASE("F9: a stream on it closes it") {
  const int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  std::FILE* const stream = fdopen(fd, "r");
  REQUIRE(stream);
  std::fclose(stream);
  itimerspec left{};
  CHECK_EQ(err(timerfd_gettime(fd, &left)), -EBADF);
  std::array<int, 2> ends{};
  REQUIRE_EQ(pipe(ends.data()), 0);
  CHECK_EQ(ends[0], fd);  // the number is another's now
  CHECK_EQ(err(timerfd_gettime(fd, &left)), -EINVAL);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("F9: parent and child share a timer") {
  const timerfd t{CLOCK_MONOTONIC, 0};
  REQUIRE_EQ(t.set(30ms), 0);
  CHECK(in_child([&] { return t.take() == 1 && t.set(40ms, 7s) == 0; }));
  CHECK_EQ(of(t.get().it_interval), 7s);
  CHECK_EQ(t.take(), 1);
  // The parent sets it, the child waits.
  const pid_t child = fork();
  if (child == 0) _exit(t.take() == 1 ? 0 : 1);
  REQUIRE_EQ(t.set(20ms), 0);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
}

TEST_CASE("F9: a timer that a child set, which is gone, is told of all the same") {
  CHECK(in_child([] {  // a process that has set none itself
    const timerfd t;
    return in_child([&] { return t.set(20ms) == 0; }) && comes(t.fd) && t.take() == 1;
  }));
}

TEST_CASE("F10: parent and child share whether they were told that the clock was set") {
  support::clock_setter clock;
  const timerfd t{CLOCK_REALTIME};
  const auto told = [&] { return t.take() == -ECANCELED; };
  REQUIRE_EQ(t.set(now(CLOCK_REALTIME) + 1h, 0ns, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET), 0);
  REQUIRE_FALSE(told());
  if (!clock.step()) return support::skipped("CAP_SYS_TIME is needed to set the clock");
  CHECK(in_child([&] { return comes(t.fd) && told(); }));
  CHECK_EQ(t.take(), -EAGAIN);
  REQUIRE(clock.step());
  CHECK(eventually(told));
  CHECK(in_child([&] { return t.take() == -EAGAIN; }));
}

TEST_CASE("what a child of vfork opens, sets and closes is its own") {
  const timerfd before;
  REQUIRE_EQ(before.set(1h), 0);
  volatile int opened = -1;
  volatile bool worked = false;
  const pid_t child = vfork();
  if (child == 0) {
    opened = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    const itimerspec soon = spec(1ms);
    std::uint64_t count = 0;
    worked = timerfd_settime(opened, 0, &soon, nullptr) == 0 && comes(opened) &&
             read(opened, &count, sizeof count) == sizeof count && count == 1 &&
             close(before.fd) == 0;
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  CHECK(worked);
  // Its numbers mean what they meant: the first is free here, the second is still a timer.
  std::array<int, 2> ends{};
  REQUIRE_EQ(pipe(ends.data()), 0);
  CHECK_EQ(ends[0], opened);
  REQUIRE_EQ(write(ends[1], "x", 1), 1);
  char got = 0;
  CHECK_EQ(read(ends[0], &got, 1), 1);
  close(ends[0]);
  close(ends[1]);
  CHECK_GT(of(before.get().it_value), 59min);
}

TEST_CASE("a thread that waits in fcntl holds nobody else up") {
  const timerfd first, second;  // files without a name share what is locked
  const auto lock = [](const timerfd& t, int command, short type) {
    struct flock whole{};
    whole.l_type = type;
    return fcntl(t.fd, command, &whole);
  };
  REQUIRE_EQ(lock(first, F_OFD_SETLK, F_WRLCK), 0);
  CHECK_EQ(err(lock(second, F_OFD_SETLK, F_WRLCK)), -EAGAIN);
  std::atomic<bool> is_let_go = false;
  std::atomic<pid_t> waiter = 0;
  std::thread waiting{[&] {
    waiter = gettid();
    CHECK_EQ(lock(second, F_OFD_SETLKW, F_WRLCK), 0);
    CHECK(is_let_go);
  }};
  REQUIRE(eventually([&] { return is_in(SYS_fcntl, waiter); }));
  const int copy = fcntl(first.fd, F_DUPFD_CLOEXEC, 0);
  CHECK_EQ(first.set(1ms), 0);
  CHECK(comes(copy));
  close(copy);
  is_let_go = true;
  CHECK_EQ(lock(first, F_OFD_SETLK, F_UNLCK), 0);
  waiting.join();
}

TEST_CASE("the smallest stack that a thread may have is enough") {
  pthread_attr_t small;
  pthread_attr_init(&small);
  REQUIRE_EQ(
      pthread_attr_setstacksize(&small, static_cast<std::size_t>(sysconf(_SC_THREAD_STACK_MIN))),
      0);
  pthread_t thread{};
  bool worked = false;
  const auto body = [](void* result) -> void* {
    const int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    const itimerspec soon = spec(1ms);
    std::uint64_t count = 0;
    pollfd p{fd, POLLIN, 0};
    timer_t t{};
    sigevent event{};
    event.sigev_notify = SIGEV_NONE;
    itimerspec left{};
    *static_cast<bool*>(result) =
        timerfd_settime(fd, 0, &soon, nullptr) == 0 && poll(&p, 1, -1) == 1 &&
        read(fd, &count, sizeof count) == sizeof count && close(dup(fd)) == 0 && close(fd) == 0 &&
        timer_create(CLOCK_MONOTONIC, &event, &t) == 0 &&
        timer_settime(t, 0, &soon, nullptr) == 0 && timer_gettime(t, &left) == 0 &&
        timer_delete(t) == 0;
    return nullptr;
  };
  REQUIRE_EQ(pthread_create(&thread, &small, body, &worked), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&small);
  CHECK(worked);
}

TEST_CASE("F9: a process that shares a timer may be killed at any moment, and the other goes on") {
  const timerfd t;
  for (int round = 0; round < 50; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) {
        t.set(1h, 1ms);
        t.get();
        t.take();
      }
    }
    pass(std::chrono::microseconds{500 + 37 * round});
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    REQUIRE_EQ(t.set(1ms), 0);
    REQUIRE(comes(t.fd));
    REQUIRE_EQ(t.take(), 1);
    REQUIRE_FALSE(readable(t.fd));
  }
}

TEST_CASE("C4: alarm clocks work, or are refused when they are opened or set") {
  for (const clockid_t clock : {CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM}) {
    const int fd = timerfd_create(clock, TFD_NONBLOCK);
    if (fd == -1) {
      CHECK((errno == EPERM || errno == EOPNOTSUPP));
      continue;
    }
    const itimerspec s = spec(2ms, 1ms);
    CHECK_EQ(timerfd_settime(fd, 0, &s, nullptr), 0);
    REQUIRE(comes(fd));
    std::uint64_t n = 0;
    CHECK_EQ(read(fd, &n, sizeof n), 8);
    CHECK_GE(n, 1);
    itimerspec left{};
    CHECK_EQ(timerfd_gettime(fd, &left), 0);
    CHECK_EQ(of(left.it_interval), 1ms);
    close(fd);
  }
}

TEST_CASE("F12: TFD_IOC_SET_TICKS") {
  const timerfd t;
  std::uint64_t n = 0;
  constexpr auto set_ticks = _IOW('T', 0, std::uint64_t);
  if (ioctl(t.fd, set_ticks, &n) == -1 && errno == ENOTTY) {
    std::puts("SKIPPED: this kernel has no TFD_IOC_SET_TICKS (CONFIG_CHECKPOINT_RESTORE)");
    return;
  }
  CHECK_EQ(err(ioctl(t.fd, set_ticks, &n)), -EINVAL);
  n = 42;
  CHECK_EQ(ioctl(t.fd, set_ticks, &n), 0);
  CHECK(readable(t.fd));
  CHECK_EQ(t.take(), 42);
}

TEST_CASE("bare system calls are the same timers") {
  const int fd = static_cast<int>(syscall(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK));
  REQUIRE_GE(fd, 0);
  const itimerspec s = spec(1ms);
  CHECK_EQ(syscall(SYS_timerfd_settime, fd, 0, &s, nullptr), 0);
  CHECK(comes(fd));
  itimerspec got{};
  CHECK_EQ(syscall(SYS_timerfd_gettime, fd, &got), 0);
  std::uint64_t n = 0;
  CHECK_EQ(syscall(SYS_read, fd, &n, 8), 8);
  CHECK_EQ(n, 1);
  CHECK_EQ(err(syscall(SYS_timerfd_settime, fd, 0, bad<void>(), nullptr)), -EFAULT);
  CHECK_EQ(syscall(SYS_close, fd), 0);
  CHECK_EQ(err(timerfd_gettime(fd, &got)), -EBADF);
  CHECK_EQ(syscall(SYS_getpid), getpid());
}

TEST_CASE("two readers never get the same expirations") {
  const timerfd t{CLOCK_MONOTONIC, 0};
  std::atomic<long> total = 0;
  const auto first = now() + 1ms;
  REQUIRE_EQ(t.set(first, 1ms, TFD_TIMER_ABSTIME), 0);
  const auto read_some = [&] {
    for (int i = 0; i < 20; ++i) total += t.take();
  };
  std::thread other{read_some};
  read_some();
  other.join();
  CHECK_GE(total, 40);
  CHECK_LE(total, 1 + (now() - first) / 1ms);
}

TEST_CASE("F7: a read goes on with the timer that it began with, whatever becomes of the number") {
  for (const bool is_replaced : {false, true}) {
    CAPTURE(is_replaced);
    static int fd;
    fd = timerfd_create(CLOCK_MONOTONIC, 0);
    const int other_number = dup(fd);
    const itimerspec soon = spec(50ms);
    REQUIRE_EQ(timerfd_settime(fd, 0, &soon, nullptr), 0);
    static std::atomic<long> result;
    result = 0;
    std::thread reader{[] {
      std::uint64_t count = 0;
      result = read(fd, &count, sizeof count);
    }};
    pass(10ms);
    const timerfd never{CLOCK_MONOTONIC, 0};
    if (is_replaced)
      dup2(never.fd, fd);
    else
      close(fd);
    reader.join();
    CHECK_EQ(result, 8);
    close(other_number);
    if (is_replaced) close(fd);
  }
}

TEST_CASE("F9: a thread that has its descriptors for itself has their timers") {
  CHECK(in_child([] {
    const timerfd t;
    if (t.set(1ms) != 0 || !comes(t.fd)) return false;
    const int file = memfd_create("bystander", 0);  // at this number in the table of all others
    if (file < 0 || unshare(CLONE_FILES) != 0) return false;
    const int bystander = fcntl(file, F_DUPFD, 100);
    close(file);
    const timerfd own;
    return own.fd == file && own.set(5ms) == 0 && comes(own.fd) &&
           lseek(bystander, 0, SEEK_END) == 0;
  }));
}

namespace {

bool may_unshare(int what) {
  return in_child([what] { return unshare(what) == 0; });
}

}  // namespace

TEST_CASE("F9: a timer is shared with a child in another namespace of process numbers") {
  if (!may_unshare(CLONE_NEWPID)) return support::skipped("CAP_SYS_ADMIN, to make namespaces");
  CHECK(in_child([] {
    const timerfd t;
    if (unshare(CLONE_NEWPID) != 0 || t.set(1ms, 1ms) != 0) return false;
    const auto ask = [&] {
      for (const auto end = now() + 100ms; now() < end;) (void)t.get();
    };
    const pid_t child = fork();
    ask();
    if (child == 0) _exit(0);
    int status = -1;
    waitpid(child, &status, 0);
    return status == 0 && comes(t.fd);
  }));
}

TEST_CASE("F9: to set a timer that a child has had costs no more for the number of the others") {
  const auto cost = [](int count) {
    std::deque<timerfd> timers;
    for (int i = 0; i != count; ++i) timers.emplace_back();
    REQUIRE(in_child([] { return true; }));
    return support::cpu_seconds([&] {
      for (int i = 0; i != 400; ++i) {
        REQUIRE_EQ(timers.front().set(1h - i * 1s), 0);
        pass(20us);
      }
    });
  };
  // 12 times as long where each time all were looked at.
  CHECK_LT(cost(800), 5 * cost(20));
}

TEST_CASE("a process goes on with timers, whatever it leaves behind") {
  for (const int what : {CLONE_FILES, CLONE_FS, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER,
                         CLONE_NEWUSER | CLONE_NEWPID}) {
    CAPTURE(what);
    if (!may_unshare(what)) {
      support::skipped("the right to make namespaces");
      continue;
    }
    for (const bool has_timers : {false, true}) {
      CAPTURE(has_timers);
      CHECK(in_child([=] {
        if (has_timers) alarm(20);
        if (unshare(what) != 0) return false;
        const timerfd t{CLOCK_MONOTONIC, 0};
        return t.set(10ms) == 0 && readable(t.fd, 5000) && t.take() == 1;
      }));
    }
  }
}

TEST_CASE(
    "F9: what is left of a timer that was closed while it was read is not in the way of the next") {
  CHECK(in_child([] {
    alarm(20);  // ends it where it hangs
    const auto read_in_a_thread = [](int fd) {
      pthread_t thread{};
      const auto run = [](void* given) -> void* {
        std::uint64_t count = 0;
        (void)!read(static_cast<int>(reinterpret_cast<std::intptr_t>(given)), &count, sizeof count);
        return nullptr;
      };
      pthread_create(&thread, nullptr, run, reinterpret_cast<void*>(std::intptr_t{fd}));
      pass(5ms);  // it waits
      return thread;
    };
    {
      const timerfd closed{CLOCK_MONOTONIC, 0};
      if (closed.set(100s) != 0) return false;
      pthread_detach(read_in_a_thread(closed.fd));
    }
    const timerfd t{CLOCK_MONOTONIC, 0};
    for (int i = 0; i < 3; ++i) {
      const pthread_t reader = read_in_a_thread(t.fd);
      if (t.set(1ms) != 0) return false;
      pthread_join(reader, nullptr);
    }
    return true;
  }));
}

TEST_CASE("the main thread may end before the others") {
  static pid_t child;
  std::thread forking{[] {
    child = fork();
    if (child != 0) return;
    std::thread{[] {
      pass(20ms);  // until the main one is gone
      const timerfd t;
      _exit(t.set(1ms) == 0 && comes(t.fd) && t.take() == 1 ? 0 : 1);
    }}.detach();
  }};
  forking.join();
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
}
