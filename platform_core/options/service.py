"""Read and change the operator's options; each is a row with who set it and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import delete, insert, select

from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.database.tables import options
from platform_core.options.spec import Options
from platform_core.workspace.service import Workspace


def current(workspace: Workspace) -> Options:
    """The options that hold; a stored value that this version can't use counts as not set."""
    with reading(workspace.engine) as connection:
        stored = {row.name: row.value for row in connection.execute(select(options.c.name, options.c.value))}
    known = {name: value for name, value in stored.items() if name in Options.model_fields}
    try:
        return Options.model_validate(known)
    except ValidationError as error:
        wrong = {str(e["loc"][0]) for e in error.errors() if e["loc"]}
        return Options.model_validate({name: value for name, value in known.items() if name not in wrong})


def change(workspace: Workspace, values: Mapping[str, Any], actor: str) -> Options:
    """Set some options, all or none of them; None sets the default again. Raises pydantic's ValidationError."""
    wanted = {**current(workspace).model_dump(), **values}
    resolved = Options.model_validate({name: value for name, value in wanted.items() if value is not None})
    with writing(workspace.engine) as connection:
        for name in values:
            connection.execute(delete(options).where(options.c.name == name))
            value = getattr(resolved, name)
            if value != Options.model_fields[name].default:
                connection.execute(insert(options).values(name=name, value=value, actor=actor, since=now()))
    return resolved
