#!/usr/bin/env bash
# Make the virtual environment $2 with the interpreter $1; install Debian's Python where it lacks.
set -euo pipefail
python=$1 venv=$2
if ! "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or newer with venv is needed."
  bash "$(dirname "$0")/apt.sh" python3 python3-venv
fi
"$python" -m venv "$venv"
