"""The history of the registry's schema; `database.open_database` runs what is missing."""
