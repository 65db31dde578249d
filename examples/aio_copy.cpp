// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).

// Copies a file with many reads and writes in flight at a time, past the page cache (O_DIRECT), with a
// progress bar; then reads both files back and compares their checksums.
//
//   aio_copy FROM TO        copies a file
//   aio_copy                makes one of 64 MiB, and copies that (--ci: of 4 MiB and a bit)

#include <chime/aio_context.hpp>
#include <chime/basic_timer.hpp>
#include <chime/clock.hpp>
#include <chime/shim/descriptor.hpp>
#include <chime/timerfd.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/crc.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <support/check.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using chime::aio_operation;
using chime::shim::descriptor;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t block = 256 * 1024;
constexpr std::size_t page = 4096;  // O_DIRECT wants buffers, sizes and offsets aligned
constexpr int in_flight = 8;

descriptor open_or_die(const std::string& name, int flags, mode_t mode = 0600) {
  descriptor file{::open(name.c_str(), flags | O_CLOEXEC, mode)};
  if (!file.is_open()) throw std::system_error{errno, std::system_category(), name};
  return file;
}

/// Past the page cache, if the file system lets anybody do that. Then reads and writes really are
/// asynchronous; through the cache each is done when it has been submitted.
descriptor open_direct(const std::string& name, int flags, bool& is_direct) {
  descriptor file{::open(name.c_str(), flags | O_DIRECT | O_CLOEXEC, 0600)};
  if (file.is_open()) return file;
  if (errno != EINVAL) throw std::system_error{errno, std::system_category(), name};
  std::printf("O_DIRECT is refused for %s: going through the page cache\n", name.c_str());
  is_direct = false;
  return open_or_die(name, flags);
}

std::uint32_t checksum(const std::string& name) {
  const descriptor file = open_or_die(name, O_RDONLY);
  boost::crc_32_type sum;
  std::vector<char> buffer(block);
  for (ssize_t n; (n = ::read(file.get(), buffer.data(), buffer.size())) > 0;)
    sum.process_bytes(buffer.data(), static_cast<std::size_t>(n));
  return sum.checksum();
}

struct free_memory {
  void operator()(void* p) const noexcept { std::free(p); }
};

class copy {
 public:
  copy(const std::string& from, const std::string& to, bool draws)
      : from_{open_direct(from, O_RDONLY, is_direct_)},
        to_{open_direct(to, O_RDWR | O_CREAT | O_TRUNC, is_direct_)},
        draws_{draws} {
    struct ::stat s{};
    if (::fstat(from_.get(), &s) == -1)
      throw std::system_error{errno, std::system_category(), from};
    size_ = s.st_size;
  }

  void run() {
    for (int i = 0; i < in_flight; ++i) asio::co_spawn(context_, worker(), rethrow);
    asio::co_spawn(context_, bar(), rethrow);
    context_.run();
    // The last block was written with its padding; the file is as long as the original.
    if (::ftruncate(to_.get(), size_) == -1)
      throw std::system_error{errno, std::system_category(), "ftruncate"};
    std::printf("%lld bytes in %d reads and writes, %d of them at a time, %s\n",
                static_cast<long long>(size_), operations_, most_,
                is_direct_ ? "O_DIRECT" : "through the page cache");
    example::check(done_ == size_, "all of it was copied");
    if (is_direct_ && size_ > std::int64_t{block} * in_flight)
      example::check(most_ == in_flight, "as many were in flight as could be");
  }

 private:
  static void rethrow(std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  }

  /// Takes one block after another: reads it, writes it.
  asio::awaitable<void> worker() {
    const std::unique_ptr<void, free_memory> memory{std::aligned_alloc(page, block)};
    char* const buffer = static_cast<char*>(memory.get());
    while (next_ < size_) {
      const std::int64_t offset = next_;
      next_ += std::int64_t{block};
      const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(block, size_ - offset));
      std::size_t have = 0;
      while (have < wanted) {  // fewer bytes than asked for are no error
        // Offsets stay aligned: what came in part is read anew from its last whole page on.
        const std::size_t from = have / page * page;
        const std::size_t n = co_await transfer(aio_operation::read(
            from_.get(), buffer + from, block - from, offset + static_cast<std::int64_t>(from)));
        if (from + n <= have) throw std::runtime_error{"the file has become shorter"};
        have = from + n;
      }
      const std::size_t padded = (wanted + page - 1) / page * page;
      std::memset(buffer + wanted, 0, padded - wanted);
      std::size_t written = 0;
      while (written < padded)
        written +=
            co_await transfer(aio_operation::write(to_.get(), buffer + written, padded - written,
                                                   offset + static_cast<std::int64_t>(written)));
      done_ += static_cast<std::int64_t>(wanted);
    }
    if (--workers_ > 0) co_return;
    co_await aio_.async_submit(aio_operation::sync(to_.get()));
    is_over_ = true;
    frame_.cancel();
  }

  asio::awaitable<std::size_t> transfer(aio_operation op) {
    ++operations_;
    most_ = std::max(most_, ++running_);
    const std::size_t n = co_await aio_.async_submit(op);
    --running_;
    co_return n;
  }

  asio::awaitable<void> bar() {
    frame_.expires_every(50ms);
    while (!is_over_) {
      draw();
      try {
        co_await frame_.async_wait();
      } catch (const chime::system_error&) {  // cancelled: it is over
      }
    }
    draw();
    if (draws_) std::puts("");
  }

  void draw() const {
    if (!draws_) return;
    const int width = 50;
    const int full = size_ > 0 ? static_cast<int>(done_ * width / size_) : width;
    std::printf("\r[%-*s] %3lld %%", width,
                std::string(static_cast<std::size_t>(full), '#').c_str(),
                static_cast<long long>(size_ > 0 ? done_ * 100 / size_ : 100));
    std::fflush(stdout);
  }

  bool is_direct_ = true;
  descriptor from_, to_;
  bool draws_;
  asio::io_context context_{1};
  chime::aio_context aio_{context_, in_flight};
  chime::timerfd<chime::monotonic_clock> frame_{context_};
  std::int64_t size_ = 0;
  std::int64_t next_ = 0;  // the first block that nobody has taken
  std::int64_t done_ = 0;
  int workers_ = in_flight;
  int running_ = 0;
  int most_ = 0;
  int operations_ = 0;
  bool is_over_ = false;
};

/// A file of so many bytes, none like its neighbours.
void make_file(const std::string& name, std::size_t size) {
  const descriptor file = open_or_die(name, O_WRONLY | O_CREAT | O_TRUNC);
  std::uint32_t state = 1;
  std::vector<char> some(block);
  for (std::size_t written = 0; written < size; written += some.size()) {
    some.resize(std::min(block, size - written));
    for (char& c : some) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    if (::write(file.get(), some.data(), some.size()) != static_cast<ssize_t>(some.size()))
      throw std::system_error{errno, std::system_category(), name};
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool ci = example::in_ci(argc, argv);
  const bool draws = !ci && ::isatty(STDOUT_FILENO) == 1;
  const bool is_given = !ci && argc == 3;
  const std::string temporary = "/var/tmp/chime-aio-copy-" + std::to_string(::getpid());
  const std::string from = is_given ? argv[1] : temporary + ".from";
  const std::string to = is_given ? argv[2] : temporary + ".to";
  if (!is_given) make_file(from, ci ? (4U << 20) + 12345 : 64U << 20);
  try {
    copy{from, to, draws}.run();
    const auto sums = std::pair{checksum(from), checksum(to)};
    std::printf("checksums: %08x, %08x\n", sums.first, sums.second);
    if (!is_given) {
      ::unlink(from.c_str());
      ::unlink(to.c_str());
    }
    example::check(sums.first == sums.second, "the copy is the original");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "aio_copy: %s\n", e.what());
    if (!is_given) {
      ::unlink(from.c_str());
      ::unlink(to.c_str());
    }
    return 1;
  }
}
