// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The loop of ping as it has been since 1983: SIGALRM sends the next packet and sets the timer anew, while the
// program sits in recvfrom(), which is interrupted.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace {

constexpr int packets = 10;
constexpr long interval_us = 20'000;

int out = -1;
sockaddr_in self{};
volatile sig_atomic_t sent = 0;
volatile sig_atomic_t is_over = 0;

long long now_us() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000LL + t.tv_nsec / 1000;
}

void send_next(int) {
  const int kept = errno;
  if (sent == packets) {
    is_over = 1;
  } else {
    const long long stamp = now_us();
    sent = sent + 1;
    sendto(out, &stamp, sizeof stamp, 0, reinterpret_cast<const sockaddr*>(&self), sizeof self);
  }
  const itimerval next{{0, 0}, {0, interval_us}};  // after the last, too: it may come just before recvfrom()
  setitimer(ITIMER_REAL, &next, nullptr);
  errno = kept;
}

}  // namespace

int main() {
  const int in = socket(AF_INET, SOCK_DGRAM, 0);
  out = socket(AF_INET, SOCK_DGRAM, 0);
  self.sin_family = AF_INET;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof self;
  if (bind(in, reinterpret_cast<sockaddr*>(&self), size) == -1) return 2;
  if (getsockname(in, reinterpret_cast<sockaddr*>(&self), &size) == -1) return 2;

  struct sigaction action{};
  action.sa_handler = send_next;  // without SA_RESTART: recvfrom() says EINTR
  sigaction(SIGALRM, &action, nullptr);
  const long long start = now_us();
  send_next(SIGALRM);
  int received = 0;
  int interrupted = 0;
  long long slowest = 0;
  while (!is_over) {
    long long stamp = 0;
    if (recvfrom(in, &stamp, sizeof stamp, 0, nullptr, nullptr) == sizeof stamp) {
      ++received;
      slowest = std::max(slowest, now_us() - stamp);
    } else if (errno == EINTR) {
      ++interrupted;
    } else {
      return 3;
    }
  }
  const long long took = now_us() - start;
  std::printf("ping: %d sent, %d received, %d times interrupted, slowest %lld us, %lld us in all\n", int{sent},
              received, interrupted, slowest, took);
  return sent == packets && received == packets && interrupted > 0 && took >= packets * interval_us ? 0 : 1;
}
