// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include "trace.hpp"

#include <charconv>
#include <cstdlib>
#include <iterator>

namespace preload {

constinit bool is_traced = false;

namespace {

const char* name_of(long error) noexcept {
  switch (error) {
    case EPERM: return "EPERM";
    case ESRCH: return "ESRCH";
    case EINTR: return "EINTR";
    case EBADF: return "EBADF";
    case EAGAIN: return "EAGAIN";
    case ENOMEM: return "ENOMEM";
    case EFAULT: return "EFAULT";
    case EBUSY: return "EBUSY";
    case EINVAL: return "EINVAL";
    case EMFILE: return "EMFILE";
    case ENFILE: return "ENFILE";
    case ENOTTY: return "ENOTTY";
    case ESPIPE: return "ESPIPE";
    case EOPNOTSUPP: return "EOPNOTSUPP";
    case ECANCELED: return "ECANCELED";
    default: return nullptr;
  }
}

}  // namespace

void init_trace() noexcept {
  const char* const wanted = std::getenv("CHIME_PRELOAD_TRACE");
  is_traced = wanted != nullptr && *wanted != '\0' && *wanted != '0';
}

void complain(const char* text) noexcept { raw(SYS_write, 2, text, std::strlen(text)); }

trace_line::trace_line(const char* call) noexcept {
  put("chime[");
  put(std::int64_t{raw(SYS_getpid)});
  put("] ");
  put(call);
  put('(');
}

void trace_line::put(char c) noexcept {
  if (size_ < sizeof text_) text_[size_++] = c;
}
void trace_line::put(const char* text) noexcept {
  while (*text != '\0') put(*text++);
}
void trace_line::put(std::int64_t n) noexcept {
  char digits[24];
  const auto end = std::to_chars(digits, std::end(digits), n).ptr;
  for (const char* c = digits; c != end; ++c) put(*c);
}
void trace_line::put(std::int64_t seconds, std::int64_t fraction, int digits) noexcept {
  put(seconds);
  put('.');
  std::int64_t unit = 1;
  while (--digits > 0) unit *= 10;
  for (; unit > fraction && unit > 1; unit /= 10) put('0');
  put(fraction);
}
void trace_line::separate() noexcept {
  if (has_arguments_) put(", ");
  has_arguments_ = true;
}

void trace_line::add(long argument) noexcept {
  separate();
  put(std::int64_t{argument});
}
void trace_line::add(const void* argument) noexcept {
  separate();
  put("0x");
  char digits[20];
  const auto end =
      std::to_chars(digits, std::end(digits), reinterpret_cast<std::uintptr_t>(argument), 16).ptr;
  for (const char* c = digits; c != end; ++c) put(*c);
}
void trace_line::add(const ::itimerspec* argument) noexcept {
  ::itimerspec t{};
  if (argument == nullptr || copy_in(t, argument) != 0)
    return add(static_cast<const void*>(argument));
  separate();
  put('{');
  put(t.it_value.tv_sec, t.it_value.tv_nsec, 9);
  put(" every ");
  put(t.it_interval.tv_sec, t.it_interval.tv_nsec, 9);
  put('}');
}
void trace_line::add(const ::itimerval* argument) noexcept {
  ::itimerval t{};
  if (argument == nullptr || copy_in(t, argument) != 0)
    return add(static_cast<const void*>(argument));
  separate();
  put('{');
  put(t.it_value.tv_sec, t.it_value.tv_usec, 6);
  put(" every ");
  put(t.it_interval.tv_sec, t.it_interval.tv_usec, 6);
  put('}');
}

void trace_line::write(long result) noexcept {
  put(") = ");
  if (result < 0 && result >= -4095) {
    put("-1 ");
    if (const char* const name = name_of(-result))
      put(name);
    else
      put(std::int64_t{-result});
  } else {
    put(std::int64_t{result});
  }
  if (size_ == sizeof text_) --size_;
  put('\n');
  raw(SYS_write, 2, text_, size_);
}

}  // namespace preload
