# shellcheck shell=sh
# Sourced by demo.sh, test.sh and .ci/run. `need demo`, `need test` or `need ci` installs what is missing
# for it, where it can: on Debian 12, Ubuntu 24.04 and later, as root or with sudo. Elsewhere it says what
# is needed and goes on: CMake then finds what is there, or names what is not.
# Where nothing is missing, it asks neither apt nor the network.

needs='g++ 12 (or another compiler with C++20 coroutines), CMake 3.25, Ninja, Boost 1.81;
for the tests also Boost.Context and doctest'

need() {
  missing=
  program g++ g++
  program cmake cmake
  program ninja ninja-build
  boost=libboost
  case $1 in
    test | ci)
      boost="libboost libboost-context"
      package doctest-dev
      ;;
  esac
  case $1 in
    ci)
      program ccache ccache
      program clang-format-19 clang-format-19
      program valgrind valgrind
      package liburing-dev clang-19 libclang-rt-19-dev libc++-19-dev libc++abi-19-dev
      package libbenchmark-dev libuv1-dev libevent-dev libev-dev stress-ng python3 strace
      package g++-mingw-w64-x86-64-posix wine64 g++-aarch64-linux-gnu g++-arm-linux-gnueabihf qemu-user-static
      ;;
  esac

  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "This system has no apt, so nothing is installed. Needed: $needs."
    return
  fi
  for library in $boost; do
    package "$library$(boost_version)-dev"
  done
  [ -n "$missing" ] || return 0

  if [ "$(id -u)" -eq 0 ]; then
    as_root=
  elif command -v sudo >/dev/null; then
    as_root=sudo
  else
    echo "Neither root nor sudo, so nothing is installed. Missing packages:$missing."
    return
  fi
  # --no-remove: an older Boost that somebody works with is not ours to replace. A machine of CI's own may
  # have to give up another libc++.
  keep=--no-remove
  [ "$1" != ci ] || keep=
  apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o Dpkg::Use-Pty=0"
  $apt update || echo "The package lists could not be updated."
  # shellcheck disable=SC2001 # sh has no ${x//}
  missing=$(echo "$missing" | sed "s/1\.??/$(boost_version)/g") # known now, see boost_version
  echo "Installing:$missing"
  # shellcheck disable=SC2086 # one word a package
  $apt install --no-install-recommends $keep $missing ||
    echo "Not everything could be installed. By hand: apt-get install$missing"
}

program() { # PROGRAM PACKAGE: the program counts, wherever it comes from
  command -v "$1" >/dev/null || missing="$missing $2"
}

package() { # PACKAGE...
  for name; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing="$missing $name"
  done
}

# Debian 12 has Boost 1.81 beside its older default, so the version is part of the name: that of the headers
# which are there if they are new enough, otherwise the newest to be had. A system whose package lists
# were never fetched does not know yet: 1.??.
boost_version() {
  minor=
  header=/usr/include/boost/version.hpp
  if [ -f $header ]; then
    minor=$(sed -n 's/^#define BOOST_LIB_VERSION "1_\([0-9]*\).*/\1/p' $header)
  fi
  if [ "${minor:-0}" -lt 81 ]; then
    minor=$(apt-cache --names-only search '^libboost1\.[0-9]+-dev$' |
      sed -n 's/^libboost1\.\([0-9]*\)-dev .*/\1/p' | sort -n | tail -n 1)
  fi
  [ "${minor:-0}" -ge 81 ] || minor='??'
  echo "1.$minor"
}
