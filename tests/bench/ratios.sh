#!/bin/bash
# What the README says is measured. Fails where a bound is not kept, after all have been measured.
# Usage: ratios.sh [FACTOR], by which bounds of what is measured in time are multiplied: 1 is for a machine
# that is idle otherwise. What is counted (instructions, system calls, allocations) has no such excuse.
set -euo pipefail
export CHIME_FACTOR=${1:-1}
cd "$(dirname "$0")"
program=$(mktemp)
trap 'rm -f "$program"' EXIT

failed=()
check() { # NAME COMMAND...
  "${@:2}" || failed+=("$1")
}
build() { # FILE...
  g++ -std=c++20 -O2 -I../../include "$@" -o "$program"
}

build periodic_wait.cpp
check instructions ./instructions.sh "$program"
check compile_time ./compile_time.sh g++
build lateness.cpp
check lateness "$program"
build signals.cpp
check signals "$program"
build -DDOCTEST_CONFIG_DISABLE crowd.cpp ../timer/heap.cpp
check crowd "$program"
build aio.cpp
check aio "$program"

# chime beside its peers. No bounds: on a busy machine this only shows where it stands.
./peers/build.sh "$program"
peers() {
  CHIME_BENCH_N="1000 100000" CHIME_BENCH_MS=200 "$program" --benchmark_repetitions=3 |
    grep -E '^(ratio|SKIPPED)'
}
check peers peers

if [ ${#failed[@]} -ne 0 ]; then
  echo "not kept: the bounds of ${failed[*]}"
  exit 1
fi
