// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#include <chime/clock.hpp>
#include <chime/error.hpp>
#include <chime/expiry.hpp>
#include <chime/setting.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <type_traits>

using namespace std::chrono_literals;
using chime::monotonic_clock;
using chime::on_clock_set;
using chime::realtime_clock;

namespace {

using setting = chime::setting<monotonic_clock>;
using wall_setting = chime::setting<realtime_clock>;

static_assert(std::is_trivially_copyable_v<setting> && std::is_aggregate_v<setting>);

static_assert(setting{} == setting::disarmed() && !setting::disarmed().is_armed());
static_assert(!setting::disarmed().is_absolute());

static_assert(setting::after(5ms).value == 5ms && setting::after(5ms).interval == 0ns);
static_assert(setting::after(5ms, 2ms).value == 5ms && setting::after(5ms, 2ms).interval == 2ms);
static_assert(setting::after(5ms).is_armed() && !setting::after(5ms).is_absolute());
static_assert(setting::after(-1ns).is_armed());  // and invalid: not the same as disarmed

static_assert(setting::every(5ms) == setting::after(5ms, 5ms) && !setting::every(0ms).is_armed());

constexpr monotonic_clock::time_point deadline{7s};
static_assert(setting::at(deadline).value == 7s && setting::at(deadline).interval == 0ns);
static_assert(setting::at(deadline, 3s).interval == 3s && setting::at(deadline).is_absolute());
static_assert(setting::at(deadline).on_clock_set == on_clock_set::follow);
static_assert(setting::at(deadline) != setting::after(7s));
static_assert(
    !setting::at(monotonic_clock::time_point{}).is_armed());  // F5: value 0 disarms, absolute too

static_assert(wall_setting::at(std::chrono::sys_days{} + 1s, 0s, chime::cancel_on_clock_set)
                  .on_clock_set == on_clock_set::cancel);

using expiry = chime::expiry<monotonic_clock>;
static_assert(expiry{}.expirations == 0 && expiry{}.overrun() == 0);
static_assert(expiry{1, {}}.overrun() == 0 && expiry{5, {}}.overrun() == 4);
static_assert(expiry{UINT64_MAX, {}}.overrun() == 2147483647);  // P6

}  // namespace

TEST_CASE("errors are errno's, and a clock that was set is no wait that was cancelled") {
  const chime::error_code invalid = chime::error::invalid_argument();
  CHECK_EQ(invalid, chime::error::from_errno(EINVAL));
  CHECK_EQ(invalid, boost::system::errc::invalid_argument);

  const chime::error_code was_set = chime::error::clock_was_set();
  CHECK_EQ(was_set, boost::system::errc::operation_canceled);
  CHECK_EQ(was_set.value(), ECANCELED);
  CHECK_NE(was_set,
           chime::error_code(ECANCELED, boost::system::system_category()));  // operation_aborted
}
