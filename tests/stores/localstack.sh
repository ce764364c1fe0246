#!/usr/bin/env bash
# LocalStack as a process of this machine, its S3 service alone: no container engine and no account needed.
#
#   localstack.sh install|start|stop|env|status|wipe
#   ORIEL_LOCALSTACK_PORT   default 18566
#
# It keeps what it stores in temporary files, which a stop forgets. It does not check the signature of a request (only
# of a presigned address), so it is of no use for tests of refused keys.
set -euo pipefail
STORE=localstack
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PORT="${ORIEL_LOCALSTACK_PORT:-$((18566 + PORT_OFFSET))}"
PORTS=("$PORT")
REQUIREMENTS="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../localstack" && pwd)/requirements.txt"

# Its web server takes the port of GATEWAY_LISTEN but not the address, and would listen on every interface.
LAUNCH='
from functools import partial
from twisted.internet import endpoints
endpoints.TCP4ServerEndpoint = partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")
from localstack.runtime.main import main
main()
'

store_processes() { echo localstack; }
store_settings() { echo "port $PORT"; }
store_install() { venv_install 11 -r "$REQUIREMENTS"; }

store_start() {
  # A killed LocalStack leaves its temporary files, which may be gigabytes.
  rm -rf "$DATA"
  mkdir -p "$DATA/tmp"
  # An auth token in the environment would make it look for the vendor's licence server.
  spawn localstack env -u LOCALSTACK_AUTH_TOKEN -u LOCALSTACK_API_KEY \
    HOME="$DATA" TMPDIR="$DATA/tmp" XDG_CACHE_HOME="$DATA/cache" FILESYSTEM_ROOT="$DATA/root" \
    SERVICES=s3 STRICT_SERVICE_LOADING=1 EAGER_SERVICE_LOADING=1 \
    GATEWAY_LISTEN="127.0.0.1:$PORT" LOCALSTACK_HOST="127.0.0.1:$PORT" GATEWAY_WORKER_COUNT=32 \
    USE_SSL=0 SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 DNS_ADDRESS=0 LS_LOG=warning \
    S3_SKIP_SIGNATURE_VALIDATION=0 PYTHONUNBUFFERED=1 \
    "$STORE_HOME/venv/bin/python" -c "$LAUNCH"
  wait_for localstack 120 answers "$PORT" /_localstack/health '"s3": *"(running|available)"'
}

store_stop() { halt localstack 15; }

# A presigned address is checked against the secret "test", whatever the caller's key is.
store_env() { print_env "http://127.0.0.1:$PORT" test test; }

store_main "$@"
