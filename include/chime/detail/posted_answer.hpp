// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

#include <chime/error.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace chime::detail {

/// A handler on its way to where it runs, with what it is called with.
template <class Executor, class Handler, class Value>
struct posted_answer {
  using executor_type = boost::asio::associated_executor_t<Handler, Executor>;
  [[nodiscard]] executor_type get_executor() const noexcept {
    return boost::asio::get_associated_executor(handler, io_executor);
  }
  using allocator_type = boost::asio::associated_allocator_t<Handler>;
  [[nodiscard]] allocator_type get_allocator() const noexcept {
    return boost::asio::get_associated_allocator(handler);
  }

  void operator()() { std::move(handler)(ec, std::move(value)); }

  Handler handler;
  Executor io_executor;
  error_code ec;
  Value value;
};

/// Completes an operation of an I/O object, as whatever Asio completes at once: by a post to the
/// object's executor, and on from there to the handler's. (Posting to the handler's may start threads:
/// system_executor.)
template <class Executor, class Handler, class Value>
void post_answer(const Executor& io_executor, Handler&& handler, error_code ec, Value value) {
  boost::asio::post(io_executor, posted_answer<Executor, Handler, Value>{
                                     std::move(handler), io_executor, ec, std::move(value)});
}

}  // namespace chime::detail
