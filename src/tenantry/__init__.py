"""Tenantry keeps the data of many customers apart in PostgreSQL and SQLite, for programs on SQLAlchemy 2."""
