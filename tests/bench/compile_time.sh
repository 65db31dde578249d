#!/bin/bash
# What it takes to compile one timer of chime in a coroutine, against one of Asio: instructions of the compiler
# proper, by cachegrind. (Its time measures between 1.05 and 1.18 of the same code on a shared machine.) Fails where
# a timer that only the kernel keeps takes more than 1.10 times as many. The default timer brings the engine along,
# and takes more: that has no bound yet.
# Usage: compile_time.sh CXX
set -euo pipefail
cd "$(dirname "$0")"

compiler=$1
proper=$("$compiler" -print-prog-name=cc1plus)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

instructions() { # NAME UNIT [FLAG...]: into the file NAME
  "$compiler" -std=c++20 -I../../include -E "${@:2}" -o "$scratch/$1.ii"
  valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null \
    "$proper" -quiet -fpreprocessed -std=c++20 -O0 "$scratch/$1.ii" -o /dev/null 2>&1 |
    sed -n 's/,//g; s/.*I *refs: *//p' >"$scratch/$1"
}
instructions asio compile_time_asio.cpp &
instructions kernel compile_time_chime.cpp -DKERNEL_ALONE &
wait
instructions default compile_time_chime.cpp

awk -v k="$(cat "$scratch/kernel")" -v a="$(cat "$scratch/asio")" -v d="$(cat "$scratch/default")" 'BEGIN {
  printf "ratio compile_time instructions default=%.0f asio=%.0f x=%.3f\n", d, a, d / a
  printf "ratio compile_time instructions kernel=%.0f asio=%.0f x=%.3f\n", k, a, k / a
  exit !(a > 0 && k <= 1.10 * a)
}'
