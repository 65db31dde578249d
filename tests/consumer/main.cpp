// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// What a consumer's program needs of chime is there: every header, the language level, Asio, threads.
#include <chime/chime.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdio>

int main() {
  boost::asio::io_context context;
  chime::timerfd<chime::monotonic_clock> timer{context};
  timer.expires_after(std::chrono::milliseconds{1});
  bool rang = false;
  timer.async_wait([&](boost::system::error_code error, auto) { rang = !error; });
  context.run();
  std::printf("chime %d.%d.%d %s\n", CHIME_VERSION_MAJOR, CHIME_VERSION_MINOR, CHIME_VERSION_PATCH,
              rang ? "rang" : "did not ring");
  return rang ? 0 : 1;
}
