// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// The same tests again on a kernel whose ring has a layout that chime does not know, so that events are taken by
// io_getevents: with CHIME_TEST_RING=unknown in the environment each ring is made to look like that as soon as
// the kernel has made it. (The kernel does not read what is written over here.) Not under sanitizers, which do not
// like either.
#include "support/aio.hpp"

#include <chime/kernel/aio_queue.hpp>
#include <chime/shim/aio_ring.hpp>

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

bool is_ring_unknown() {
  const char* const given = std::getenv("CHIME_TEST_RING");
  return given && std::strcmp(given, "unknown") == 0;
}

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
namespace {

void scribble_magic(std::uintptr_t context) {
  constexpr std::size_t magic_index = 4;  // struct aio_ring in fs/aio.c
  auto* const ring = reinterpret_cast<std::uint32_t*>(context);
  REQUIRE_EQ(ring[magic_index], chime::shim::aio_ring::magic);
  ring[magic_index] = 0;
}

}  // namespace

// What the shims call is this one.
extern "C" long test_syscall(long number, long a, long b, long c, long d, long e, long f) noexcept
    __asm__("syscall");
extern "C" long test_syscall(long number, long a, long b, long c, long d, long e, long f) noexcept {
  using function = long (*)(long, ...);
  // No static that is initialised once: whoever guards that calls this.
  const auto libc = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "syscall"));
  const long result = libc(number, a, b, c, d, e, f);
  if (number == SYS_io_setup && result == 0 && is_ring_unknown())
    scribble_magic(*reinterpret_cast<std::uintptr_t*>(b));
  return result;
}
#endif

TEST_CASE("whether the ring is known is what was asked for") {
  auto context = chime::shim::io_setup(4).value();
  CHECK_EQ(chime::shim::aio_ring::of(context.get()).has_value(), !is_ring_unknown());
}
