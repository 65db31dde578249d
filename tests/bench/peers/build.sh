#!/bin/bash
# Builds the benchmark of chime and its peers; a peer that is not installed is left out, and the program says
# so. Usage: build.sh PROGRAM
set -euo pipefail
cd "$(dirname "$0")"
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

has() { echo "#include <$1>" | g++ -E -x c++ - >/dev/null 2>&1; }
libraries=(-lbenchmark -lpthread)
! has uv.h || libraries+=(-luv)
! has event2/event.h || libraries+=(-levent)
! has ev.h || libraries+=(-lev)
for unit in main loops queues libuv libevent libev ../../timer/heap; do
  g++ -std=c++20 -O2 -DDOCTEST_CONFIG_DISABLE -I../../../include -c $unit.cpp -o "$objects/$(basename $unit).o"
done
g++ "$objects"/*.o -o "$1" "${libraries[@]}"
