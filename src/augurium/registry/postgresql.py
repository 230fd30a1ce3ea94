"""All that is peculiar to PostgreSQL. psycopg is imported when a PostgreSQL URL is opened."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, event, text

DRIVER = "postgresql+psycopg"
# libpq takes no less
CONNECT_TIMEOUT_S = 2
# how much longer than the server's own time limit a statement is waited for
GRACE_S = 1.0
MIGRATION_TIMEOUT_S = 600.0
# "augurium" in ASCII; migrations of several processes wait for each other by it
MIGRATION_LOCK = 0x6175_6775_7269_756D
POOL = {"pool_size": 5, "max_overflow": 10, "pool_pre_ping": True, "pool_recycle": 1800}


def driver_url(url: URL) -> URL:
    """The URL with the driver we bring, where it names none."""
    return url.set(drivername=DRIVER) if url.drivername in ("postgresql", "postgres") else url


def configure(engine: Engine, lock_timeout_s: float) -> None:
    """Gives every connection of the engine its time limits, on the server and on this side.

    The limit on this side is for a server that is frozen or cut off, which no limit of its own
    would end.
    """
    limit_s = lock_timeout_s + GRACE_S
    milliseconds = int(lock_timeout_s * 1000)
    options = (
        f"-c lock_timeout={milliseconds} -c statement_timeout={milliseconds} "
        f"-c idle_in_transaction_session_timeout={int(limit_s * 2000)} -c timezone=UTC "
        # a plan for any value takes metric.accuracy>0.9999 for a third of all versions
        "-c plan_cache_mode=force_custom_plan"
    )

    def connect(dialect: Any, record: Any, arguments: list[Any], parameters: Any) -> Any:
        given = parameters.pop("options", "")
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
        parameters.setdefault("application_name", "augurium")
        # loaded with the first connection: a node on SQLite needs no psycopg
        from augurium.registry.bounded_connection import BoundedConnection

        connection = BoundedConnection.connect(
            *arguments, options=f"{options} {given}", **parameters
        )
        connection.limit_s = limit_s
        return connection

    event.listen(engine, "do_connect", connect)


def lock_migrations(connection: Connection) -> None:
    """Makes other processes wait until this transaction ends, and gives it time.

    The connection keeps that time: close it afterwards.
    """
    driver: Any = connection.connection.driver_connection
    driver.limit_s = MIGRATION_TIMEOUT_S
    milliseconds = int(MIGRATION_TIMEOUT_S * 1000)
    connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))
    connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
