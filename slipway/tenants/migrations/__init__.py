"""Alembic migrations of the tenants' database: one file per revision, never edited after a release."""
