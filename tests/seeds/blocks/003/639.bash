# Migrate all company databases
python scripts/migrate_all_company_databases.py

# Migrate specific company
python scripts/migrate_company_database.py --company-id 1

# Reset all databases (DANGER: Deletes all data)
python scripts/reset_all_databases.py
