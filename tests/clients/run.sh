#!/usr/bin/env bash
# The clients that people use, against a running Oriel: openstack, glance, openstacksdk, and what other clients send.
#
#   run.sh install              the clients, once, from PyPI into var/clients
#   run.sh [PYTEST ARGUMENT...] the tests; ends with a line `test result: …` as `cargo test` does. Files are those of
#                               this folder: run.sh test_sdk.py -k download
#
# It exits with 77 where this machine cannot have them: the last line then says why. The binary is the one that
# `cargo build` makes; ORIEL_BINARY may name another.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The store starters know how to install from PyPI, and what is no fault of this tree when that fails.
export ORIEL_STORES_HOME="$PWD/var"
STORE=clients
. tests/stores/lib.sh
mkdir -p "$LOG"
export ORIEL_BINARY="${ORIEL_BINARY:-$PWD/${CARGO_TARGET_DIR:-target}/debug/oriel}"

install() {
  # The tests and a transcript may be asked for at once: the second waits, and finds everything there.
  exec 9>"$STORE_HOME/lock"
  flock 9
  venv_install 11 -r tests/clients/requirements.txt
  exec 9>&-
}

# count WORD...: the sum of the numbers before these words in pytest's closing line.
count() {
  local word sum=0 number
  for word in "$@"; do
    number="$(tail -n 1 "$LOG/tests.log" | grep -oE "[0-9]+ $word" | cut -d' ' -f1 || true)"
    sum=$((sum + ${number:-0}))
  done
  echo "$sum"
}

run() {
  local outcome=0 word=ok
  [ -x "$ORIEL_BINARY" ] || fault "$ORIEL_BINARY is not there; cargo build makes it"
  # A file goes to one of two processes, each with its own Oriel: starting a command costs a client most of its time.
  (cd tests/clients && exec "$STORE_HOME/venv/bin/python" -m pytest -q -n 2 --dist worksteal -rfEs "$@") \
    2>&1 </dev/null | tee "$LOG/tests.log" || outcome=$?
  [ "$outcome" -eq 0 ] || word=FAILED
  printf 'test result: %s. %s passed; %s failed; %s ignored; clients\n' \
    "$word" "$(count passed)" "$(count failed error errors)" "$(count skipped)"
  return "$outcome"
}

case "${1:-}" in
  install) install ;;
  *)
    install
    run "$@"
    ;;
esac
