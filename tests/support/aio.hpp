// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/shim/descriptor.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>

namespace support {

/// How many AIO contexts this process has: each has its ring mapped. (fs.aio-nr is the machine's.)
inline int aio_contexts() {
  std::ifstream maps{"/proc/self/maps"};
  int n = 0;
  for (std::string line; std::getline(maps, line);) n += line.find("/[aio]") != line.npos;
  return n;
}

/// A fixture: whatever AIO contexts a test case makes are gone with it.
class no_aio_leak {
 public:
  no_aio_leak() = default;
  no_aio_leak(const no_aio_leak&) = delete;
  no_aio_leak& operator=(const no_aio_leak&) = delete;
  ~no_aio_leak() { CHECK_EQ(aio_contexts(), before_); }

 private:
  int before_ = aio_contexts();
};

/// A file without a name, of the given contents.
inline chime::shim::descriptor temporary_file(const std::string& contents = {}) {
  char name[] = "/tmp/chime-aio-XXXXXX";
  chime::shim::descriptor file{::mkostemp(name, O_CLOEXEC)};
  REQUIRE(file.is_open());
  ::unlink(name);
  REQUIRE(::write(file.get(), contents.data(), contents.size()) ==
          static_cast<ssize_t>(contents.size()));
  return file;
}

struct pipe_ends {
  chime::shim::descriptor reader, writer;
};
inline pipe_ends make_pipe() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  return {chime::shim::descriptor{ends[0]}, chime::shim::descriptor{ends[1]}};
}

}  // namespace support
