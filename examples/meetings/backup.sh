#!/bin/sh
# Backs the whole server up into backups/backup_YYYYmmdd_HHMMSS, signed, and keeps a week of them.
#   ./backup.sh                  every database, for restore.sh
#   ./backup.sh tenants users    these common tables, as compressed SQL
set -eu
place=${BACKUPS:-backups}
if [ $# -gt 0 ]; then
    plain=--plain
    for table; do plain="$plain --table $table"; done
    # shellcheck disable=SC2086  # one word for each
    exec tenantry archive server backup "$place" $plain
fi
tenantry archive server backup "$place"
tenantry archive server prune "$place" --keep daily=7,weekly=4 --yes
