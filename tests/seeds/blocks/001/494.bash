# Full database backup
pg_dump slack_fathom_crono > backup_$(date +%Y%m%d_%H%M%S).sql

# Compressed backup
pg_dump slack_fathom_crono | gzip > backup_$(date +%Y%m%d_%H%M%S).sql.gz

# Backup specific tables
pg_dump -t tenants -t users slack_fathom_crono > critical_tables_backup.sql
