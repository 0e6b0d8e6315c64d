"""What an engine's plan says of a query: which tables it would read whole."""

from __future__ import annotations

import contextlib
import re

from sqlalchemy import event


@contextlib.contextmanager
def statements(engine):
    """Every statement with a plan that is sent meanwhile: (text, parameters)."""
    found = []

    def keep(connection, cursor, statement, parameters, context, executemany):
        if re.match(r"\s*(SELECT|UPDATE|DELETE)", statement):
            found.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", keep)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", keep)


def scans(engine, statement, parameters):
    """The tables that a statement reads whole.  A walk along a key that ends after so many rows is none."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            sorts = any("TEMP B-TREE" in line for line in plan)
            found = {match[1] for line in plan if (match := re.match(r"SCAN (\w+)", line))}
        else:
            plan = connection.exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {statement}", parameters).mappings().all()
            sorts = any("filesort" in (row["Extra"] or "") for row in plan)
            found = {row["table"] for row in plan if row["type"] in {"ALL", "index"}}
    found = {name for name in found if name != "CONSTANT" and not name.startswith("<")}  # made by the query itself
    return found if sorts or "LIMIT" not in statement else set()
