#!/bin/sh
# Prints the first Python of version 3.11 to 3.14 that can make virtual environments; $PYTHON is tried first.
set -u
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
        echo "$candidate"
        exit 0
    fi
done
echo "no Python from 3.11 to 3.14 with venv found; install one, or pass it as make setup PYTHON=/path/to/python" >&2
exit 1
