"""Send new alerts by webhook and e-mail: each once, again and again later where the other side does not answer.

What was tried and how it went is kept in `notifications.json` of the workspace. Only the supervisor delivers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select

from platform_core.alerts import mail, store, webhook
from platform_core.alerts.store import Alert
from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.database.tables import options as options_table
from platform_core.doctor.diagnosis import LEVELS
from platform_core.errors import Problem, Text
from platform_core.files import read_json, write_json
from platform_core.options import service as options_service
from platform_core.options.spec import Options
from platform_core.workspace.service import Workspace

Channel = Literal["webhook", "mail"]
CHANNELS: dict[Channel, str] = {"webhook": "webhook_url", "mail": "mail_to"}
"""Each channel with the option that turns it on."""
PAUSES = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""Seconds until the next try, after each failure in a row."""
OLDEST = 86_400.0
"""What could not be sent for a day is not news any more."""
FILE = "notifications.json"


@dataclass(frozen=True)
class Delivery:
    """How the last try of a channel went; `problem` is None when it worked."""

    at: float
    problem: Text | None


def channels(options: Options) -> list[Channel]:
    """The channels that are turned on."""
    return [channel for channel, name in CHANNELS.items() if getattr(options, name)]


def last(workspace: Workspace) -> dict[Channel, Delivery]:
    """How the last try of each channel went, for those that were ever tried."""
    kept, found = read_json(workspace.home / FILE) or {}, {}
    for channel in CHANNELS:
        told = kept.get(channel)
        if isinstance(told, dict) and isinstance(told.get("at"), int | float):
            problem = told.get("problem")
            found[channel] = Delivery(told["at"], None if problem is None else Text.from_json(problem))
    return found


def deliver(workspace: Workspace, wanted: Callable[[], bool] = lambda: True) -> int:
    """Try to send whatever is due; how many deliveries worked. Stops early once `wanted` says no.

    An alert counts as sent when every channel has it. Were the process killed between the other side's answer and our
    note of it, the same would be sent once more, under the same key.
    """
    options = options_service.current(workspace)
    on = channels(options)
    if not on:
        return 0
    levels = LEVELS[LEVELS.index(options.alert_level) :]
    with reading(workspace.engine) as connection:
        since = {channel: _since(connection, channel) for channel in on}
        waiting = store.unsent(connection, levels, max(min(since.values()), now() - OLDEST))
    if not waiting:
        return 0
    kept = read_json(workspace.home / FILE) or {}
    tries: dict[str, dict[str, Any]] = {str(k): dict(v) for k, v in _dict(kept.get("tries")).items()}
    tries = {k: v for k, v in tries.items() if k in {str(a.id) for a in waiting}}
    done = 0
    for alert in sorted(waiting, key=lambda a: (int(tries.get(str(a.id), {}).get("failed", 0)), a.id)):
        state = tries.setdefault(str(alert.id), {})
        for channel in on:
            if alert.since < since[channel] or state.get(channel) == "done" or now() < float(state.get("next", 0.0)):
                continue
            if not wanted():
                return done
            problem = _try(workspace, options, channel, alert)
            kept[channel] = {"at": now(), "problem": None if problem is None else problem.as_json()}
            if problem is None:
                state[channel], done = "done", done + 1
            else:
                state["failed"] = int(state.get("failed", 0)) + 1
                state["next"] = now() + PAUSES[min(state["failed"], len(PAUSES)) - 1]
            write_json(workspace.home / FILE, {**kept, "tries": tries})
        if all(state.get(channel) == "done" for channel in on if alert.since >= since[channel]):
            with writing(workspace.engine) as connection:
                store.mark_sent(connection, alert.id, now())
    return done


def test(options: Options, channel: Channel) -> None:
    """Send a message that says that it is a test; raises Problem."""
    said = "This is a test from lathe: alerts will arrive here."
    key = f"lathe-test-{int(now() * 1000)}"
    if channel == "webhook":
        if not options.webhook_url:
            raise Problem("No webhook is set.")
        webhook.post(options.webhook_url, {"test": True, "text": said, "time": now()}, key, options.webhook_private)
    else:
        if not options.mail_to:
            raise Problem("No e-mail address is set.")
        mail.send(options, mail.message(options, "lathe: test", said, key, now()))


def payload(alert: Alert) -> dict[str, Any]:
    """An alert as the webhook gets it; `text` alone says enough for a chat."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "level": alert.level,
        "text": f"{subject(alert)}: {alert.what}",
        "what": str(alert.what),
        "why": None if alert.why is None else str(alert.why),
        "fix": None if alert.fix is None else {"says": str(alert.fix.says), "changes": alert.fix.changes},
        "job": None if alert.job_id is None else {"id": alert.job_id, "name": alert.job_name, "attempt": alert.attempt},
        "host": alert.host,
        "step": alert.step,
        "since": alert.since,
    }


def subject(alert: Alert) -> str:
    """ "lathe: critical: Sums"."""
    return f"lathe: {alert.level}: {alert.job_name or alert.host or alert.rule}"


def body(alert: Alert) -> str:
    """An alert as a mail tells it."""
    parts = [str(alert.what), "" if alert.why is None else str(alert.why)]
    if alert.fix is not None:
        parts.append(f"What helps: {alert.fix.says}")
        parts.append("\n".join(f"  {name}: {value}" for name, value in alert.fix.changes.items()))
    about = f"Job {alert.job_id}, attempt {alert.attempt}" if alert.job_id is not None else f"Host {alert.host}"
    at_step = f", step {alert.step}" if alert.step is not None else ""
    parts.append(f"{about}{at_step}. Rule {alert.rule}, alert {alert.id}.")
    if alert.job_id is not None and alert.fix is not None and alert.fix.changes:
        parts.append(f"Try again with the fix: lathe jobs fix {alert.job_id}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _try(workspace: Workspace, options: Options, channel: Channel, alert: Alert) -> Text | None:
    key = _key(workspace, alert)
    try:
        if channel == "webhook":
            webhook.post(options.webhook_url, payload(alert), key, options.webhook_private)
        else:
            mail.send(options, mail.message(options, f"{subject(alert)}: {alert.what}", body(alert), key, alert.since))
    except Problem as problem:
        return problem.text
    return None


def _key(workspace: Workspace, alert: Alert) -> str:
    place = hashlib.sha256(str(workspace.engine.url).encode()).hexdigest()[:12]
    return f"lathe-{place}-{alert.id}-{int(alert.since)}"


def _since(connection: Any, channel: Channel) -> float:
    """When the channel was turned on: what is older is not sent."""
    row = connection.execute(
        select(options_table.c.since).where(options_table.c.name == CHANNELS[channel])
    ).one_or_none()
    return float(row.since) if row is not None else 0.0


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
