"""The tenants' schema as SQLAlchemy sees it: organisations, projects, users, keys, and the change counter.

Belongs here: tables and columns. Does not: queries (a module per table beside this one), how a schema came to
be (migrations/).

Rows are never removed: what leaves gets the instant at which it left, so that past usage keeps its names.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# The counter is one row; its key is written down so that no query has to say which.
COUNTER_ID = 1


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant in every database: SQLite keeps no zone, so what it returns is marked as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store in UTC; a naive instant is a mistake of the caller."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; pass an aware datetime")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return an aware UTC datetime."""
        if value is None:
            return None
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class Names(TypeDecorator[frozenset[str]]):
    """A set of names as a sorted JSON array; NULL is none given, which is not the empty set."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: Dialect) -> str | None:
        """Store them sorted."""
        return None if value is None else json.dumps(sorted(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> frozenset[str] | None:
        """Return the set."""
        return None if value is None else frozenset(json.loads(value))


class Base(DeclarativeBase):
    """All tables of the tenants' database."""


class Organization(Base):
    """A tenant organization by its catalog name; inactive when the catalog no longer names it."""

    __tablename__ = "organization"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    active: Mapped[bool] = mapped_column(Boolean, nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class Project(Base):
    """What an organization groups keys by. Each has one that is its default and cannot be archived."""

    __tablename__ = "project"
    __table_args__ = (
        Index(
            "project_default",
            "org",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    org: Mapped[str] = mapped_column(
        String(63), ForeignKey("organization.name", name="project_org"), nullable=False, index=True
    )
    name: Mapped[str] = mapped_column(String(255), nullable=False)
    is_default: Mapped[bool] = mapped_column(Boolean, nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)


class ProjectRateLimit(Base):
    """What a project may ask of one model per minute, whatever more the operator allows."""

    __tablename__ = "project_rate_limit"

    project: Mapped[str] = mapped_column(
        String(40), ForeignKey("project.id", name="project_rate_limit_project"), primary_key=True
    )
    model: Mapped[str] = mapped_column(String(255), primary_key=True)
    requests_per_minute: Mapped[int | None] = mapped_column(BigInteger, nullable=True)
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger, nullable=True)


class User(Base):
    """A principal of one organization, to whom keys belong; names are unique within it.

    A service account is one, too: `project` says whose, its name is its id, and `title` what people call it.
    """

    __tablename__ = "user"
    __table_args__ = (ForeignKeyConstraint(["org"], ["organization.name"], name="user_org"),)

    org: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    role: Mapped[str] = mapped_column(String(20), nullable=False, server_default="reader")
    email: Mapped[str | None] = mapped_column(String(320), nullable=True)
    project: Mapped[str | None] = mapped_column(
        String(40), ForeignKey("project.id", name="user_project"), nullable=True
    )
    title: Mapped[str | None] = mapped_column(String(255), nullable=True)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)


class ApiKey(Base):
    """An API key of one user. Of its secret only the SHA-256 and a few characters for display are kept.

    `project` is NULL where a version before projects made the key: the organization's default.
    """

    __tablename__ = "api_key"
    __table_args__ = (ForeignKeyConstraint(["org", "user"], ["user.org", "user.name"], name="api_key_user"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    org: Mapped[str] = mapped_column(String(63), nullable=False, index=True)
    user: Mapped[str] = mapped_column(String(255), nullable=False)
    label: Mapped[str] = mapped_column(String(255), nullable=False)
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32), nullable=False, unique=True)
    prefix: Mapped[str] = mapped_column(String(32), nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    project: Mapped[str | None] = mapped_column(
        String(40), ForeignKey("project.id", name="api_key_project"), nullable=True
    )
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    deployments: Mapped[frozenset[str] | None] = mapped_column(Names, nullable=True)
    tasks: Mapped[frozenset[str] | None] = mapped_column(Names, nullable=True)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)


class AdminKey(Base):
    """A key that manages one organization and asks no model; kept as an API key is."""

    __tablename__ = "admin_key"
    __table_args__ = (
        ForeignKeyConstraint(["org", "user"], ["user.org", "user.name"], name="admin_key_user"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    org: Mapped[str] = mapped_column(String(63), nullable=False, index=True)
    user: Mapped[str] = mapped_column(String(255), nullable=False)
    label: Mapped[str] = mapped_column(String(255), nullable=False)
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32), nullable=False, unique=True)
    prefix: Mapped[str] = mapped_column(String(32), nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)


class ChangeCounter(Base):
    """One row, raised by every change in the change's own transaction, so that followers ask one number.

    Its row lock also puts changes in order: they are made one after the other, and who reads n sees
    everything up to the n-th change.
    """

    __tablename__ = "change_counter"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(Integer, nullable=False)
