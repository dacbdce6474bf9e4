#!/bin/sh
# Sets up what is missing, then becomes Node 24 with a program: run.sh <what to set up> <script> [arguments]
# Everything is `exec`, so that a signal to npm reaches the program itself; while the set-up works, it is passed on by hand.
set -u
cd "$(dirname "$0")/.." || exit 1
what=$1
shift

if ! command -v node >/dev/null 2>&1; then
  echo "Tutti needs Node to set itself up, and no node was found. Install Node 18 or newer (on Debian: apt-get install -y nodejs npm)." >&2
  exit 1
fi
node scripts/setup.mjs "$what" "$@" &
setup=$!
trap 'kill -TERM "$setup" 2>/dev/null; wait "$setup"; exit 143' TERM INT HUP
wait "$setup" || exit $?
trap - TERM INT HUP

PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec node "$@"
