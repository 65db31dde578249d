#!/bin/bash
# Draws what the benchmark printed: nanoseconds an operation, chime beside its peers. Needs gnuplot.
# Usage: PROGRAM | chart.sh [N] > chart.svg      N: how many timers in the queues (default 1000000)
set -euo pipefail
n=${1:-1000000}
data=$(mktemp)
trap 'rm -f "$data"' EXIT

# A row for each workload, a column for each peer. Counters (lateness and the like) have names with a dot of
# their own: <workload>.p50.
awk -v n="n=$n" '
  $1 != "ratio" || $2 ~ /\.(p50|p99|max|calls|allocs|clustered|equal)$/ || $2 == "stall" { next }
  $3 == n || $2 ~ /^(dense|crowd|armcancel|armdisarm)/ {
    row = $2 ($3 == n ? "" : " " substr($3, 3))
    if (!(row in seen)) { seen[row] = 1; order[++rows] = row }
    for (i = 4; i <= 5; ++i) { split($i, pair, "="); value[row, pair[1]] = pair[2] }
  }
  END {
    peers = split("chime asio libuv libevent libev priority_queue intrusive_set", peer, " ")
    printf "workload"
    for (p = 1; p <= peers; ++p) printf " %s", peer[p]
    print ""
    for (r = 1; r <= rows; ++r) {
      printf "\"%s\"", order[r]
      for (p = 1; p <= peers; ++p) printf " %s", ((order[r], peer[p]) in value) ? value[order[r], peer[p]] : "NaN"
      print ""
    }
  }' > "$data"

gnuplot <<END
set terminal svg size 1100,480 font "sans-serif,12" background "white"
set style data histogram
set style histogram cluster gap 1
set style fill solid 0.9 noborder
set logscale y
set grid ytics
set ylabel "ns an operation"
set xtics rotate by -30 noenhanced
set key outside right top noenhanced
plot for [i=2:8] "$data" using i:xtic(1) title columnheader(i)
END
