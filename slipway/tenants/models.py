"""The tenants' schema as SQLAlchemy sees it: organization, user, api_key and the change counter.

Belongs here: tables and columns. Does not: queries (database.py), how a schema came to be (migrations/).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Dialect, ForeignKeyConstraint, Integer, LargeBinary, String
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


class Base(DeclarativeBase):
    """All tables of the tenants' database."""


class Organization(Base):
    """A tenant organization by its catalog name; inactive when the catalog no longer names it."""

    __tablename__ = "organization"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    active: Mapped[bool] = mapped_column(Boolean, nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class User(Base):
    """A person or service of one organization; names are unique within it."""

    __tablename__ = "user"
    __table_args__ = (ForeignKeyConstraint(["org"], ["organization.name"], name="user_org"),)

    org: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class ApiKey(Base):
    """An API key of one user. Of its secret only the SHA-256 and a few characters for display are kept."""

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


class ChangeCounter(Base):
    """One row, raised by every change in the change's own transaction, so that followers ask one number.

    Its row lock also puts transactions in order: who reads n sees everything up to the n-th change.
    """

    __tablename__ = "change_counter"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(Integer, nullable=False)
