// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include "support/asio.hpp"
#include "support/tracking.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <utility>

namespace support {

/// Holds waits fast between their readiness and their handlers: these run in a context of their own, when
/// they are told to.
class on_its_way {
 public:
  template <class Handler>
  [[nodiscard]] auto bind(Handler handler) {
    return asio::bind_executor(tracking_executor{elsewhere_, log_}, std::move(handler));
  }

  /// Makes the timer due and lets the wait that stands at the kernel become ready, no more.
  /// \pre its handler has been bound, and the wait stands at the kernel
  template <class Timer>
  void make_ready(asio::io_context& context, Timer& timer) {
    const int before = log_.posted;
    make_due(timer);
    run_until(context, [&] { return log_.posted > before; });
  }

  /// Lets it arrive: runs the handlers that are on their way.
  void arrive() {
    elsewhere_.restart();
    elsewhere_.poll();
  }

 private:
  asio::io_context elsewhere_;
  executor_log log_;
};

}  // namespace support
