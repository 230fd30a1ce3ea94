"""Whether the schema is the newest, and how it becomes so. Alembic is loaded only for that."""

import threading
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

MIGRATIONS = Path(__file__).parent / "migrations"
# Alembic keeps the migration that runs in module globals
_migrating = threading.Lock()


def needs_migration(connection: Connection) -> bool:
    """Whether a migration of this release has not been made."""
    current = _current(connection)
    if current is None:
        return True
    # a schema from the future is left alone: it serves this release too, because a migration takes
    # nothing away that the release before still needs
    known = _known()
    return current in known and current != known[-1]


def migrate(connection: Connection) -> None:
    """Brings the schema to the newest version, in the transaction of the connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    # a percent sign would be read as interpolation
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _migrating:
        command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    current: str | None = connection.execute(
        select(column("version_num")).select_from(table("alembic_version"))
    ).scalar()
    return current


def _known() -> list[str]:
    """The revisions of this release, in order; the file names hold them: `r0002_registry.py`."""
    files = (MIGRATIONS / "versions").glob("r[0-9]*.py")
    return sorted(file.name[1:].partition("_")[0] for file in files)
