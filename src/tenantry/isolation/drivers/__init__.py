"""The database drivers, each taught to begin with the tenant and to leave nothing behind."""
