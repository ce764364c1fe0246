# shellcheck shell=bash
#
# Shared by the scripts of this folder; sourced, never run. It moves to the root of the tree.
#
# The clients come from PyPI, once, into var/clients. Where this machine cannot have them a script exits with 77, and its
# last line says why. The binary is the one that `cargo build` makes; ORIEL_BINARY may name another.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# The store starters know how to install from PyPI, and when a failure of that is no fault of this tree.
export ORIEL_STORES_HOME="$PWD/var"
STORE=clients
. tests/stores/lib.sh
mkdir -p "$LOG"
ORIEL_BINARY="$(realpath -m "${ORIEL_BINARY:-${CARGO_TARGET_DIR:-target}/debug/oriel}")"
export ORIEL_BINARY

install_clients() {
  # Two scripts may be at it at once: the second waits, and finds everything there.
  exec 9>"$STORE_HOME/lock"
  flock 9
  venv_install 11 -r tests/clients/requirements.txt
  exec 9>&-
}

# client NAME [ARGUMENT...]: a command that came with the clients, or their Python.
client() { "$STORE_HOME/venv/bin/$1" "${@:2}"; }

need_binary() { [ -x "$ORIEL_BINARY" ] || fault "$ORIEL_BINARY is not there; cargo build makes it"; }
