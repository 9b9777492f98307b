#!/bin/sh
# The `ridgewatch` command. It replaces itself (exec) with the Node.js of this package: signals, exit codes and the parent
# are then the program's own, and an older Node.js on the path does not matter.

self=$0
while [ -h "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
  esac
done
here=$(CDPATH='' cd -P "$(dirname "$self")" && pwd -P) || exit 1
main=$here/main.js
[ -f "$main" ] || main=$here/main.ts

# Removes variables that Node.js and its OpenSSL obey before the program runs: they name code to load, a debugger to open,
# authorities to trust, files to write keys to.
ignored=${RIDGEWATCH_IGNORED-}
for name in $(env | sed -n -e 's/^\(NODE_[A-Za-z0-9_]*\)=.*/\1/p' -e 's/^\(OPENSSL_[A-Za-z0-9_]*\)=.*/\1/p' \
  -e 's/^\(SSL_CERT_[A-Z]*\)=.*/\1/p' -e 's/^\(SSLKEYLOGFILE\)=.*/\1/p'); do
  ignored=$ignored${ignored:+,}$name
  unset "$name"
done

# With nohup SIGHUP is ignored, but Node.js does not keep that. The lowest bit of the mask is SIGHUP.
hangup=obeyed
if [ -r "/proc/$$/status" ]; then
  while read -r key value; do
    case $key$value in SigIgn:*[13579bdfBDF]) hangup=ignored ;; esac
  done <"/proc/$$/status"
fi

RIDGEWATCH_LAUNCHER="$PPID $hangup $ignored"
export RIDGEWATCH_LAUNCHER

folder=$here
while [ -n "$folder" ]; do
  node=$folder/node_modules/node/bin/node
  [ -x "$node" ] && exec "$node" --disable-sigusr1 "$main" "$@"
  folder=${folder%/*}
done
# The package has no Node.js if install scripts did not run. main.js checks the version.
exec node "$main" "$@"
