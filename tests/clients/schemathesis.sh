#!/usr/bin/env bash
# Does Oriel keep what its OpenAPI document says? Requests are made up from the document, good ones and bad ones, and
# every answer is compared with it. Ends with a line `test result: …`, a test being an operation, and the sequences
# of operations one more.
#
#   schemathesis.sh [SCHEMATHESIS ARGUMENT...]    such as --seed 7 --max-examples 100
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install_clients
need_binary
client python tests/clients/conform.py "$@" </dev/null
