#!/bin/sh
# Instructions of an expiration in user space, by callgrind: chime against the same loop written by hand.
# Fails where chime takes more than 1.15 times as many. Usage: instructions.sh PERIODIC_WAIT
set -eu

total() { # WAY N
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
    sed -n 's/.*Collected : //p'
}
each() { # WAY: the difference of two runs leaves out what starting and ending cost
  echo $((($(total "$1" 3000) - $(total "$1" 1000)) / 2000))
}

program=$1
chime=$(each chime)
for way in async_wait async_read; do
  hand=$(each $way)
  awk -v chime="$chime" -v hand="$hand" -v way=$way 'BEGIN {
    printf "ratio periodic_wait instructions chime=%d %s=%d x=%.3f\n", chime, way, hand, chime / hand
    exit !(chime <= 1.15 * hand)
  }'
done
