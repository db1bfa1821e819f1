#!/usr/bin/env bash
# Make the virtual environment $2 with the interpreter $1; install Debian's Python where it lacks.
set -euo pipefail
python=$1 venv=$2
if ! "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Python 3.11 or newer with venv is needed: apt-get install python3 python3-venv" >&2
    exit 1
  fi
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
fi
"$python" -m venv "$venv"
