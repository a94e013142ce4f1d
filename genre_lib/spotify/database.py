"""The file in which everything fetched from Spotify lies: SQLite, for its owner alone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genre_lib.errors import ConfigurationError

NAME = "library.sqlite3"
VERSION = 1
"""Raised when tables change; a file of another version is refused."""

BUSY_SECONDS = 30.0
"""How long another process may be at the file before this one gives up."""

TABLES = """
CREATE TABLE editions (user TEXT, source TEXT, number INTEGER, open INTEGER, begun REAL, PRIMARY KEY (user, source));
CREATE TABLE pages (
    user TEXT, listing TEXT, edition TEXT, position INTEGER, at REAL, next TEXT, body BLOB,
    PRIMARY KEY (user, listing, edition, position)
);
CREATE TABLE refusals (
    user TEXT, listing TEXT, edition TEXT, at REAL, reason TEXT, name TEXT, PRIMARY KEY (user, listing)
);
CREATE TABLE artists (id TEXT PRIMARY KEY, at REAL, name TEXT, genres TEXT, body BLOB);
CREATE TABLE tracks (id TEXT PRIMARY KEY, at REAL, body BLOB);
CREATE TABLE calls (at REAL, path TEXT);
CREATE INDEX calls_at ON calls (at);
CREATE TABLE facts (name TEXT PRIMARY KEY, at REAL, value TEXT);
"""


class Database:
    """One file, opened when it is first needed; use it in one thread at a time.

    A process that is killed leaves what was committed: each page is a transaction of its own.

    Args:
        path: of the file; it and its folder are made for the owner alone (0600, 0700).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self.connection.execute(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing, and nobody else writes meanwhile."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def delete(self) -> None:
        """Close and delete the file with what SQLite keeps beside it."""
        self.close()
        for ending in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its files the rights of this one
        self.path.chmod(0o600)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in filter(str.strip, TABLES.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._unusable("it is damaged") from error
        if version not in (0, VERSION):
            raise self._unusable(f"it has version {version}, and this is for version {VERSION}")

    def _unusable(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"What was fetched from Spotify cannot be read from {self.path}: {why}. Delete the file, and fetch again."
        )
