// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/shim/descriptor.hpp>

#include <support/no_leak.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <type_traits>
#include <utility>

using chime::shim::descriptor;

namespace {

static_assert(!std::is_copy_constructible_v<descriptor> && !std::is_copy_assignable_v<descriptor>);
static_assert(std::is_nothrow_move_constructible_v<descriptor> &&
              std::is_nothrow_move_assignable_v<descriptor>);
static_assert(!std::is_convertible_v<int, descriptor> && !std::is_convertible_v<descriptor, int>);
static_assert(!descriptor{}.is_open() && descriptor{}.get() == -1);

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

int open_null() {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE_NE(fd, -1);
  return fd;
}

}  // namespace

TEST_CASE_FIXTURE(support::no_leak, "a descriptor is closed when its owner goes") {
  const int fd = open_null();
  {
    const descriptor owner{fd};
    CHECK(owner.is_open());
    CHECK_EQ(owner.get(), fd);
  }
  CHECK_FALSE(is_open(fd));
}

TEST_CASE_FIXTURE(support::no_leak, "a move hands the descriptor over and leaves none") {
  const int fd = open_null();
  descriptor first{fd};
  descriptor second{std::move(first)};
  CHECK_FALSE(first.is_open());
  CHECK_EQ(second.get(), fd);
  CHECK(is_open(fd));
}

TEST_CASE_FIXTURE(support::no_leak, "an assignment closes what was held before") {
  const int old_fd = open_null();
  const int new_fd = open_null();
  descriptor owner{old_fd};
  owner = descriptor{new_fd};
  CHECK_EQ(owner.get(), new_fd);
  CHECK(is_open(new_fd));
  CHECK_FALSE(is_open(old_fd));
}

TEST_CASE_FIXTURE(support::no_leak, "a descriptor moved onto itself stays open") {
  descriptor owner{open_null()};
  descriptor& same = owner;
  owner = std::move(same);
  CHECK(owner.is_open());
  CHECK(is_open(owner.get()));
}

TEST_CASE_FIXTURE(support::no_leak, "release gives the descriptor up without closing it") {
  descriptor owner{open_null()};
  const int fd = owner.release();
  CHECK_FALSE(owner.is_open());
  CHECK(is_open(fd));
  ::close(fd);
}

TEST_CASE_FIXTURE(support::no_leak, "two owners swap") {
  descriptor full{open_null()};
  descriptor empty;
  full.swap(empty);
  CHECK_FALSE(full.is_open());
  CHECK(empty.is_open());
}

TEST_CASE_FIXTURE(support::no_leak, "0 is a descriptor like any other") {
  const descriptor standard_input{
      ::fcntl(0, F_DUPFD_CLOEXEC, 0)};  // the program's own, if it has one
  if (standard_input.is_open()) ::close(0);
  {
    const descriptor owner{open_null()};
    REQUIRE_EQ(owner.get(), 0);
    CHECK(owner.is_open());
  }
  CHECK_FALSE(is_open(0));
  if (standard_input.is_open()) CHECK_EQ(::dup2(standard_input.get(), 0), 0);
}
