#!/usr/bin/env bash
# The clients that people use, against a running Oriel: openstack, glance, openstacksdk, and what other clients send.
#
#   run.sh install              the clients, once
#   run.sh [PYTEST ARGUMENT...] the tests; ends with a line `test result: …` as `cargo test` does. Files are those of
#                               this folder: run.sh test_sdk.py -k download
#
# ORIEL_CLIENTS_POSTGRES names a PostgreSQL: each site is then two servers behind HAProxy (pair.py).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# count WORD...: the sum of the numbers before these words in pytest's closing line.
count() {
  local word sum=0 number
  for word in "$@"; do
    number="$(tail -n 1 "$LOG/tests.log" | grep -oE "[0-9]+ $word\b" | cut -d' ' -f1 || true)"
    sum=$((sum + ${number:-0}))
  done
  echo "$sum"
}

install_clients
if [ "${1:-}" = install ]; then exit; fi
need_binary
outcome=0 word=ok
# Two at a time, each with an Oriel of its own.
(cd tests/clients && client python -m pytest -q -n 2 --dist worksteal -rfEs "$@") 2>&1 </dev/null |
  tee "$LOG/tests.log" || outcome=$?
[ "$outcome" -eq 0 ] || word=FAILED
printf 'test result: %s. %s passed; %s failed; %s ignored; clients\n' \
  "$word" "$(count passed)" "$(count failed error errors)" "$(count skipped)"
exit "$outcome"
