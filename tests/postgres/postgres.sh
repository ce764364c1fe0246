#!/usr/bin/env bash
# PostgreSQL, for the tests of the catalog: the system's package, a cluster of its own, and the user that the package made
# when this is root, since the server refuses to be run by root.
#
#   postgres.sh install|start|stop|env|status|wipe
#   ORIEL_POSTGRES_PORT    default 18720
#   ORIEL_POSTGRES_FSYNC   `on` for a cluster that waits for the disk, as benches want it
#
# `start` makes a new cluster each time. Nothing in it outlives the tests, so it does not wait for the disk.
set -euo pipefail
STORE=postgres
. "$(dirname "${BASH_SOURCE[0]}")/../stores/lib.sh"
PORT="${ORIEL_POSTGRES_PORT:-$((18720 + PORT_OFFSET))}"
PORTS=("$PORT")
FSYNC="${ORIEL_POSTGRES_FSYNC:-off}"
# The checkout may be where the server's user cannot look into.
CLUSTER="/tmp/oriel-postgres-$PORT"
DEFAULTS=/etc/postgresql-common/createcluster.conf

store_processes() { echo postgres; }
store_settings() { echo "port $PORT fsync $FSYNC"; }
store_env() { printf 'POSTGRES_URL=postgres://postgres@127.0.0.1:%s/postgres\n' "$PORT"; }

# The folder of the newest server there is; Debian keeps them apart and out of the path.
programs() {
  local folder
  while read -r folder; do
    if [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] && [ -x "$folder/pg_isready" ]; then
      echo "$folder"
      return
    fi
  done < <(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -rV; dirname "$(command -v initdb || true)")
  return 1
}

store_install() {
  local is_ours=0
  if programs >/dev/null; then return; fi
  # The package would make a cluster for the whole system and start it.
  if [ "$(id -u)" -eq 0 ] && [ ! -e "$DEFAULTS" ]; then
    mkdir -p "$(dirname "$DEFAULTS")"
    echo "create_main_cluster = false" >"$DEFAULTS"
    is_ours=1
  fi
  apt_install postgresql
  if [ "$is_ours" -eq 1 ]; then rm -f "$DEFAULTS"; fi
}

# as_user COMMAND...: not as root.
as_user() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
  else
    "$@"
  fi
}

make_cluster() {
  local bin="$1"
  rm -rf "$CLUSTER"
  as_user mkdir -m 700 "$CLUSTER" &&
    as_user "$bin/initdb" -D "$CLUSTER/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N &&
    as_user tee -a "$CLUSTER/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $PORT
unix_socket_directories = ''
max_connections = 600
fsync = $FSYNC
synchronous_commit = $FSYNC
full_page_writes = $FSYNC
CONF
}

is_listening() { "$1/pg_isready" -q -h 127.0.0.1 -p "$PORT" 2>/dev/null; }

store_start() {
  local bin
  bin="$(programs)"
  cd /
  make_cluster "$bin" >"$LOG/make.log" 2>&1 || fault "making the cluster failed; the output is in $LOG/make.log"
  if [ "$(id -u)" -eq 0 ]; then
    spawn postgres setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/postgres" -D "$CLUSTER/data"
  else
    spawn postgres "$bin/postgres" -D "$CLUSTER/data"
  fi
  wait_for postgres 60 is_listening "$bin"
  store_env >"$RUN/settings"
}

store_stop() {
  local pid
  rm -f "$RUN/settings"
  # On SIGTERM it would wait for its clients.
  if alive postgres; then
    read -r pid _ <"$RUN/postgres.pid"
    kill -INT "$pid" 2>/dev/null || true
  fi
  halt postgres 20
  rm -rf "$CLUSTER"
}

store_main "$@"
