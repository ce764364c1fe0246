#!/usr/bin/env bash
# Every test, on real stores, a real Keystone and with real clients as well, and a closing line that counts them:
# `N passed, N failed, N skipped`.
#
#   run.sh                                  what `make test` does
#   run.sh CARGO TEST ARGUMENT...           some tests of cargo's; without the clients
#   run.sh packages PROGRAM:PACKAGE[,...]   installs the packages of programs that are missing, or says how
#
# A test that cannot run here prints a line that begins with SKIPPED; each such line counts as one skipped test, and so
# does a store or Keystone that this machine cannot have, and the clients where they cannot be had. What should have come
# up and did not counts as a failure.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
log="var/test.log"
stores=(tests/stores/{localstack,ceph,seaweedfs}.sh)
servers=(keystone postgres)
export ORIEL_STORES_HOME="${ORIEL_STORES_HOME:-$PWD/var/stores}"

# packages PROGRAM:PACKAGE[,...]...: 0 when every program is there, or is there now.
packages() {
  local missing=() programs=() pair as_root=()
  for pair in "$@"; do
    if command -v "${pair%%:*}" >/dev/null; then continue; fi
    programs+=("${pair%%:*}")
    IFS=, read -r -a names <<<"${pair#*:}"
    missing+=("${names[@]}")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  if command -v apt-get >/dev/null; then
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    if [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; then
      echo "installing ${missing[*]}" >&2
      local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
      "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 </dev/null && return
      "${apt[@]}" update >/dev/null 2>&1 </dev/null || true
      "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null </dev/null && return
    fi
  fi
  echo "${programs[*]}: not here, and not installed by this user. On Debian: apt-get install ${missing[*]}" >&2
  return 1
}

stop_servers() {
  tests/stores/all.sh stop >/dev/null 2>&1 || true
  local server
  for server in "${servers[@]}"; do "tests/$server/$server.sh" stop >/dev/null 2>&1 || true; done
}

# start_server NAME: what is no store is told of in the same words as one.
start_server() {
  local output outcome=0 reason
  output="$("tests/$1/$1.sh" start 2>&1)" || outcome=$?
  # The last line a starter prints is its reason.
  reason="$(tail -n 1 <<<"$output")"
  reason="${reason#"$1: "}"
  case "$outcome" in
    0) echo "$1: ready" ;;
    77) echo "$1: SKIPPED: $reason" ;;
    *)
      echo "$output" >&2
      echo "$1: FAILED: $reason"
      return 1
      ;;
  esac
}

# The tests of behaviour once more, with their catalogs in PostgreSQL: but for those that are about the wire or the store, or
# that have a catalog of their own.
on_postgres() {
  ORIEL_TEST_CATALOG=postgres cargo test --locked --no-fail-fast --test it -- --show-output \
    --skip catalog_copy:: --skip connections:: --skip cors:: --skip crash:: --skip disk_images:: \
    --skip failover:: --skip histories:: --skip http:: --skip json_bodies:: \
    --skip keystone:: --skip openapi:: --skip postgres:: --skip servers:: --skip store_answers:: --skip tls:: --skip token_cache:: \
    --skip upload_fairness:: --skip surroundings::ids_that_were_kept_in_capitals_are_found
}

# clients SCRIPT NAME: runs a script of tests/clients; where this machine cannot have what it needs, says so.
clients() {
  local outcome=0 output
  output="$(mktemp)"
  "tests/clients/$1.sh" </dev/null 2>&1 | tee "$output" || outcome=$?
  if [ "$outcome" -eq 77 ]; then
    echo "$2: SKIPPED: $(tail -n 1 "$output")"
    outcome=0
  elif ! grep -q '^test result: ' "$output"; then
    echo "$2: FAILED: $(tail -n 1 "$output")"
    outcome=1
  fi
  rm -f "$output"
  return "$outcome"
}

# The clients once more, on two servers with one PostgreSQL, each request to the other one in turn.
on_two_servers() {
  if packages haproxy:haproxy psql:postgresql-client; then
    ORIEL_CLIENTS_POSTGRES="$ORIEL_TEST_POSTGRES" clients run pair
  else
    echo "pair: SKIPPED: needs HAProxy and psql"
  fi
}

# sum WORD: the sum of the numbers before WORD in the `test result:` lines.
sum() { sed -nE "s/^test result: .* ([0-9]+) $1;.*/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'; }

run() {
  local outcome=0 started=0 passed failed skipped store_faults
  mkdir -p var
  : >"$log"
  # Without it the tests on real disk images skip themselves.
  packages qemu-img:qemu-utils || true
  # The tests of a catalog behind a pooler ask for it by its path and say when they skip.
  [ -x /usr/sbin/pgbouncer ] || packages pgbouncer:pgbouncer || true
  tests/isos.sh >/dev/null 2>&1 </dev/null || true

  # Programs come over the network while the tests compile; what goes wrong here is told by the start below.
  local store installing=()
  for store in "${stores[@]}" tests/keystone/keystone.sh tests/postgres/postgres.sh; do
    "$store" install >/dev/null 2>&1 </dev/null &
    installing+=($!)
  done
  # An image of LocalStack, pulled or built; without one the test of the container says that it skips.
  mkdir -p "$ORIEL_STORES_HOME"
  localstack/image/get.sh >"$ORIEL_STORES_HOME/localstack-image" 2>"$ORIEL_STORES_HOME/localstack-image.log" </dev/null &
  installing+=($!)
  if [ "$#" -eq 0 ]; then
    tests/clients/run.sh install >/dev/null 2>&1 </dev/null &
    installing+=($!)
  fi
  if ! cargo test --locked --no-run "$@" </dev/null; then
    wait "${installing[@]}" || true
    echo "The tests do not compile."
    echo "0 passed, 1 failed, 0 skipped"
    return 1
  fi
  wait "${installing[@]}" || true
  local image
  image="$(cat "$ORIEL_STORES_HOME/localstack-image")"
  if [ -n "$image" ]; then export LOCALSTACK_IMAGE="$image"; fi

  trap stop_servers EXIT
  tests/stores/all.sh start </dev/null 2>&1 | tee -a "$log" || started=1
  local server
  for server in "${servers[@]}"; do start_server "$server" </dev/null 2>&1 | tee -a "$log" || started=1; done
  local settings="$ORIEL_STORES_HOME/postgres/run/settings"
  if [ -f "$settings" ]; then
    ORIEL_TEST_POSTGRES="$(sed -n 's/^POSTGRES_URL=//p' "$settings")"
    export ORIEL_TEST_POSTGRES
  fi
  ORIEL_TEST_STORES_FILE="$ORIEL_STORES_HOME/available" \
  ORIEL_TEST_KEYSTONE_FILE="$ORIEL_STORES_HOME/keystone/run/settings" \
    cargo test --locked --no-fail-fast "$@" -- --show-output </dev/null 2>&1 | tee -a "$log" || outcome=$?
  if [ "$#" -eq 0 ] && [ -n "${ORIEL_TEST_POSTGRES:-}" ]; then
    on_postgres </dev/null 2>&1 | tee -a "$log" || outcome=$?
    on_two_servers 2>&1 | tee -a "$log" || outcome=$?
  fi
  stop_servers
  trap - EXIT
  if [ "$#" -eq 0 ]; then
    clients run clients 2>&1 | tee -a "$log" || outcome=$?
    clients schemathesis schemathesis 2>&1 | tee -a "$log" || outcome=$?
  fi

  passed="$(sum passed)"
  failed="$(sum failed)"
  store_faults="$(grep -cE '^[a-z]+: FAILED: ' "$log" || true)"
  skipped="$(($(sum ignored) + $(grep -cE '^([a-z]+: )?SKIPPED: ' "$log" || true)))"
  failed=$((failed + store_faults))
  # A test binary that was killed has no result of its own.
  if [ $((outcome + started)) -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi

  echo
  grep -hE '^([a-z]+: )?(SKIPPED|FAILED): |^test .* \.\.\. (FAILED|ignored)|^(SKIPPED \[|(FAILED|ERROR) test_)' "$log" || true
  echo "servers that ran: $(sed -nE 's/^([a-z]+): ready$/\1/p' "$log" | paste -sd' ')"
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}

if [ "${1:-}" = packages ]; then
  shift
  packages "$@"
else
  run "$@"
fi
