"""Read and change the operator's options; each is a row with who set it and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import delete, insert, select

from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.database.tables import options
from platform_core.options.spec import Options
from platform_core.workspace.service import Workspace


@dataclass(frozen=True)
class Change:
    """Who set an option last, and when."""

    actor: str
    since: float


def current(workspace: Workspace) -> Options:
    """The options that hold; a stored value that this version can't use counts as not set."""
    with reading(workspace.engine) as connection:
        stored = {row.name: row.value for row in connection.execute(select(options.c.name, options.c.value))}
    known = {name: value for name, value in stored.items() if name in Options.model_fields}
    while True:
        try:
            return Options.model_validate(known)
        except ValidationError as error:
            wrong = {name for e in error.errors() for name in (*e["loc"][:1], *e.get("ctx", {}).get("fields", ()))}
            wrong = wrong & known.keys() or known.keys() & {"mail_to"} or set(known)
            known = {name: value for name, value in known.items() if name not in wrong}


def change(workspace: Workspace, values: Mapping[str, Any], actor: str) -> Options:
    """Set some options, all or none of them; None sets the default again. Raises pydantic's ValidationError."""
    before = current(workspace).model_dump()
    wanted = {name: value for name, value in {**before, **values}.items() if value is not None}
    resolved = Options.model_validate(wanted)
    with writing(workspace.engine) as connection:
        for name in values:
            value = getattr(resolved, name)
            if value == before[name]:
                continue  # who set it, and when, stays true
            connection.execute(delete(options).where(options.c.name == name))
            if value != Options.model_fields[name].default:
                connection.execute(insert(options).values(name=name, value=value, actor=actor, since=now()))
    return resolved


def changes(workspace: Workspace) -> dict[str, Change]:
    """Who set each option that differs from its default."""
    with reading(workspace.engine) as connection:
        rows = connection.execute(select(options.c.name, options.c.actor, options.c.since))
        return {row.name: Change(row.actor, row.since) for row in rows}
