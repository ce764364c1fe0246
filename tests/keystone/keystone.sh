#!/usr/bin/env bash
# Keystone, the identity service of OpenStack, for tests/keystone.rs: the release of requirements.txt over SQLite, with
# fernet tokens, served by waitress.
#
#   keystone.sh install|start|stop|env|status|wipe
#   keystone.sh serve PORT    a further server on the same database, in the foreground; the environment goes over its
#                             configuration as OS_GROUP__OPTION (OS_TOKEN__EXPIRATION=5)
#   ORIEL_KEYSTONE_PORT       default 18700
#
# `start` makes a new database each time, with the administrator, the usual roles and one region, and writes
# $ORIEL_STORES_HOME/keystone/run/settings for the tests, the KEY=VALUE lines of `env`.
set -euo pipefail
STORE=keystone
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/../stores/lib.sh"
PORT="${ORIEL_KEYSTONE_PORT:-$((18700 + PORT_OFFSET))}"
PORTS=("$PORT")
CONF="$DATA/keystone.conf"
URL="http://127.0.0.1:$PORT/v3"

# It opens a service that only this machine can reach and that guards nothing.
ADMIN_PASSWORD=oriel-test-password

# Keystone reads the arguments of the process as its own. One thread: SQLite refuses one of two transactions that begin to
# write at the same time, and Keystone answers that with 500.
LAUNCH='
import sys
port = int(sys.argv.pop())
from keystone.wsgi.api import application
import waitress
waitress.serve(application, host="127.0.0.1", port=port, threads=1)
'

store_processes() { echo keystone; }
store_settings() { echo "port $PORT"; }
store_install() { venv_install 11 -r "$here/requirements.txt"; }
store_env() {
  printf 'KEYSTONE_URL=%s\nKEYSTONE_ADMIN=%s\nKEYSTONE_PASSWORD=%s\n' "$URL" admin "$ADMIN_PASSWORD"
}

write_conf() {
  cat >"$CONF" <<CONF
[database]
connection = sqlite:///$DATA/keystone.db?timeout=60

[fernet_tokens]
key_repository = $DATA/fernet

[credential]
key_repository = $DATA/credentials

[identity]
# Passwords of tests need no strength, and logins are many.
password_hash_rounds = 4

# Without a cache it takes hundreds of statements of SQL to validate one token.
[cache]
enabled = true
backend = dogpile.cache.memory

# What tests change counts at once, in every server on this database.
[token]
caching = false

[revoke]
caching = false

[catalog]
caching = false
CONF
}

manage() { PYTHONWARNINGS=ignore "$STORE_HOME/venv/bin/keystone-manage" --config-file "$CONF" "$@"; }

# Joined by && for the caller's `||`, inside which `set -e` is off.
make_site() {
  local user group
  user="$(id -un)" && group="$(id -gn)" &&
    rm -rf "$DATA" &&
    mkdir -p "$DATA"/{fernet,credentials} &&
    chmod 700 "$DATA"/{fernet,credentials} &&
    write_conf &&
    manage db_sync &&
    manage fernet_setup --keystone-user "$user" --keystone-group "$group" &&
    manage bootstrap --bootstrap-password "$ADMIN_PASSWORD" --bootstrap-region-id RegionOne \
      --bootstrap-public-url "$URL" --bootstrap-internal-url "$URL" --bootstrap-admin-url "$URL"
}

store_start() {
  make_site >"$LOG/make.log" 2>&1 || fault "making the database failed; the output is in $LOG/make.log"
  spawn keystone env OS_KEYSTONE_CONFIG_FILES="$CONF" PYTHONWARNINGS=ignore \
    "$STORE_HOME/venv/bin/python" -c "$LAUNCH" "$PORT"
  wait_for keystone 60 answers "$PORT" /v3 '"id": *"v3'
  store_env >"$RUN/settings"
}

store_stop() {
  rm -f "$RUN/settings"
  halt keystone 10
}

if [ "${1:-}" = serve ]; then
  [ $# -eq 2 ] || { echo "usage: $0 serve PORT" >&2; exit 2; }
  exec env OS_KEYSTONE_CONFIG_FILES="$CONF" PYTHONWARNINGS=ignore \
    "$STORE_HOME/venv/bin/python" -c "$LAUNCH" "$2"
fi
store_main "$@"
