# Restore from backup
psql slack_fathom_crono < backup_20251128_150000.sql

# Restore compressed backup
gunzip -c backup_20251128_150000.sql.gz | psql slack_fathom_crono
