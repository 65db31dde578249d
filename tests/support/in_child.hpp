// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace support {

/// Runs `body` in a forked child and answers the int that it returns, in [0, 255), or -1 if the child died.
/// In the child doctest has nobody to report to: `body` says by its value what it saw.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  if (child == -1 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

}  // namespace support
