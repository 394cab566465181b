#!/bin/sh
# Runs its arguments with a Python >= 3.11 of this machine: $PYTHON, python3, or the newest python3.N.
for python in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" "$@"
    fi
done
echo "missing  Python >= 3.11: apt-get install python3 python3-venv (or your system's way), or make PYTHON=/path/to/it" >&2
exit 1
