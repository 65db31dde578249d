#!/bin/bash
# User time to compile one timer of chime in a coroutine, against one of Asio: medians of alternating runs.
# Fails where chime takes more than 1.10 times as long. Usage: compile_time.sh CXX [FLAG...]
set -euo pipefail
cd "$(dirname "$0")"

runs=9
cpu() { # of one compilation, in milliseconds
  local TIMEFORMAT=%U
  { time "$@" -std=c++20 -O0 -I../../include -c "$unit" -o /dev/null; } 2>&1 |
    awk 'END { printf "%d\n", $1 * 1000 }'
}
median() { sort -n | sed -n "$((runs / 2 + 1))p"; }

chime=() asio=()
for ((i = 0; i < runs; ++i)); do
  chime+=("$(unit=compile_time_chime.cpp cpu "$@")")
  asio+=("$(unit=compile_time_asio.cpp cpu "$@")")
done
c=$(printf '%s\n' "${chime[@]}" | median)
a=$(printf '%s\n' "${asio[@]}" | median)
awk -v c="$c" -v a="$a" 'BEGIN {
  printf "ratio compile_time chime=%d ms asio=%d ms x=%.3f\n", c, a, c / a
  exit !(c <= 1.10 * a)
}'
