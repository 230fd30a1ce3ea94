#!/bin/sh
# Installs the one system package that may be missing: the shared libpython with which Envoy hosts Python.
# Augurium works without it (gRPC then runs on grpc.aio, several times slower).
python=$1
"$python" - <<'PY' && exit 0
import sys
from augurium.node.envoy import envoy_problem
sys.exit(envoy_problem() is not None)
PY
package=$("$python" -c 'import sys; print("libpython%d.%d" % sys.version_info[:2])')
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get install -y -q "$package" >/dev/null 2>&1 || { apt-get update -q >/dev/null 2>&1; apt-get install -y -q "$package" >/dev/null 2>&1; }
fi
"$python" -c 'from augurium.node.envoy import envoy_problem as p; r = p(); print("note: Envoy cannot run here:", r) if r else None'
exit 0
