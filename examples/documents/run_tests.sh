#!/bin/sh
# Runs the tests of this directory against the test database.
set -eu
cd "$(dirname "$0")"
if [ -z "${POSTGRES_DB:-}" ]; then
    set -a
    . ./.env.test
    set +a
fi
exec "${PYTHON:-python}" -m pytest -q integration_test_example.py "$@"
