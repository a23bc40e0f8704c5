"""The tables of the warehouse: each is filled by a rollup, and its key is looked after."""

import hashlib
import re

import pytest

from slipway.billing import tables as billing_tables
from slipway.metering import gpu_costs, rating, replicas, schema
from slipway.metering.schema import migrate
from slipway.metering.warehouse import DERIVED_TABLES, USAGE_TABLES, sql


@pytest.fixture
def tables() -> set[str]:
    import duckdb

    with duckdb.connect() as connection:
        migrate(connection)
        migrate(connection)  # as every writer does
        return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def test_every_table_belongs_to_a_rollup_or_holds_the_prices(tables: set[str]) -> None:
    notes = {
        "price",
        rating.TABLE,
        rating.PRICES_TABLE,
        gpu_costs.TABLE,
        "unpublished_day",
        "warehouse_version",
    }
    assert tables == {*USAGE_TABLES, *DERIVED_TABLES, *billing_tables.TABLES, replicas.TABLE, *notes}


def test_every_table_with_hours_has_a_file_that_fills_it() -> None:
    for table in (*USAGE_TABLES, replicas.TABLE):
        assert f"INSERT INTO {table}" in sql(table)


def test_the_key_of_every_table_is_checked(tables: set[str]) -> None:
    # A line may be wrong twice over; the others are notes and no results.
    keyless = {"quarantine", "unpublished_day", "warehouse_version", rating.PRICES_TABLE}
    checked = {table for table in tables if f"FROM {table} " in sql("check_keys_unique")}
    assert checked == tables - keyless


def test_a_schema_that_changed_has_another_version() -> None:
    """A copy of the same version is read as it is: without its new table a reader would fail."""
    without_comments = re.sub(r"(?m)^\s*--.*\n", "", schema.statements())
    digest = hashlib.sha256(" ".join(without_comments.split()).encode()).hexdigest()[:16]
    assert (schema.VERSION, digest) == (3, "ec4d384edf580e19"), (
        "raise VERSION, unless nobody has this one yet"
    )
