#!/bin/sh
# Restores a folder that backup.sh wrote onto a server that has none of its databases; checks it first.
#   ./restore.sh backups/backup_20251128_150000
set -eu
tenantry archive server restore "$1" --dry-run
tenantry archive server restore "$1" --yes
tenantry doctor
