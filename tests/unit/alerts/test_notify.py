"""Sending alerts by webhook and e-mail, to real servers on this machine."""

from __future__ import annotations

import email
import email.policy
import json
import ssl
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from platform_core.alerts import mail, notify, webhook
from platform_core.alerts import service as alerts
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.jobs.store import Job
from platform_core.options import service as options
from platform_core.options.spec import Options
from platform_core.workspace.service import Workspace
from tests.unit.alerts.findings import finding
from tests.unit.alerts.servers import dripping_server, http_server, make_certificate, smtp_server, status
from tests.unit.app.runs import add_job


def keep(workspace: Workspace, job: Job, *found: Any) -> None:
    alerts.keep(workspace, job, found, "here", frozenset())


def to_mail(port: int, **more: Any) -> dict[str, Any]:
    return {
        "mail_to": "ann@example.org, bo@example.org",
        "mail_from": "lathe@example.org",
        "smtp_host": "localhost",
        "smtp_port": port,
        "smtp_security": "none",
        **more,
    }


def to_webhook(port: int, **more: Any) -> dict[str, Any]:
    return {"webhook_url": f"http://127.0.0.1:{port}/hook?key=1", "webhook_private": True, **more}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PAUSES", (0.0,))


def test_an_alert_is_sent_once_by_both_ways(workspace: Workspace, job: Job) -> None:
    with smtp_server() as post, http_server(status(200)) as hook:
        options.change(workspace, {**to_mail(post.port), **to_webhook(hook.port)}, "ann")
        keep(workspace, job, finding())
        for _ in range(3):
            notify.deliver(workspace)
        keep(workspace, job, finding(step=50))
        notify.deliver(workspace)
    assert len(post.messages) == len(hook.requests) == 1
    headers, body = hook.requests[0]
    told = json.loads(body)
    assert (told["rule"], told["level"], told["job"]["id"]) == ("loss_spike", "warning", job.id)
    assert told["fix"]["changes"] == {"learning_rate": 5e-6}
    assert headers["Idempotency-Key"].startswith("lathe-")
    (alert,) = alerts.list_alerts(workspace)
    assert alert.sent_at is not None
    assert {c: d.problem for c, d in notify.last(workspace).items()} == {"webhook": None, "mail": None}


def test_only_the_way_that_failed_is_tried_again(workspace: Workspace, job: Job, soon: None) -> None:
    def answer(handler: BaseHTTPRequestHandler, before: int) -> None:
        status(500 if before == 0 else 200)(handler, before)

    with smtp_server() as post, http_server(answer) as hook:
        options.change(workspace, {**to_mail(post.port), **to_webhook(hook.port)}, "ann")
        keep(workspace, job, finding())
        notify.deliver(workspace)
        assert alerts.list_alerts(workspace)[0].sent_at is None
        assert "answers 500" in str(notify.last(workspace)["webhook"].problem)
        notify.deliver(workspace)  # as a new supervisor would: nothing but files and rows is remembered
        notify.deliver(workspace)
    assert (len(post.messages), len(hook.requests)) == (1, 2)
    assert len({headers["Idempotency-Key"] for headers, _ in hook.requests}) == 1
    assert alerts.list_alerts(workspace)[0].sent_at is not None


def test_tries_wait_longer_and_longer(workspace: Workspace, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = at = now()
    monkeypatch.setattr(notify, "now", lambda: at)
    with http_server(status(503)) as hook:
        options.change(workspace, to_webhook(hook.port), "ann")
        keep(workspace, job, finding())
        for seconds, tried in (
            (0, 1),
            (4, 1),
            (6, 2),
            (34, 2),
            (37, 3),
            (150, 3),
            (160, 4),
            (750, 4),
            (770, 5),
            (2500, 5),
        ):
            at = begun + seconds
            notify.deliver(workspace)
            assert len(hook.requests) == tried, seconds


def test_levels_mutes_and_what_is_older_than_the_webhook_are_not_sent(workspace: Workspace, job: Job) -> None:
    keep(workspace, job, finding("before"))
    with http_server(status(200)) as hook:
        options.change(workspace, to_webhook(hook.port), "ann")
        keep(workspace, job, finding("note", "info"), finding("quiet"), finding("heard", "critical"))
        alerts.mute(workspace, "quiet")
        notify.deliver(workspace)
        options.change(workspace, {"core_hour_price": 1.0}, "bo")
        notify.deliver(workspace)
    assert [json.loads(body)["rule"] for _, body in hook.requests] == ["heard"]


def test_one_that_is_always_refused_does_not_hold_up_the_others(workspace: Workspace, job: Job, soon: None) -> None:
    def answer(handler: BaseHTTPRequestHandler, before: int) -> None:
        status(400 if before == 0 else 200)(handler, before)

    with http_server(answer) as hook:
        options.change(workspace, to_webhook(hook.port), "ann")
        keep(workspace, job, finding("first"), finding("second"))
        notify.deliver(workspace)
    assert [json.loads(body)["rule"] for _, body in hook.requests] == ["first", "second"]


def test_a_hanging_server_costs_its_time_and_no_more() -> None:
    gone = Event()

    def drip(handler: BaseHTTPRequestHandler, before: int) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not gone.wait(0.05):
                handler.wfile.write(b"X-Slow: 1\r\n")
        except OSError:
            gone.set()

    with http_server(drip) as hook, pytest.raises(Problem, match=r"did not answer within 0\.5 s"):
        webhook.post(f"http://127.0.0.1:{hook.port}/", {}, "k", private=True, seconds=0.5)
    gone.clear()
    with http_server(lambda handler, before: gone.wait(5)) as hook, pytest.raises(Problem, match=r"reached|within"):
        webhook.post(f"http://127.0.0.1:{hook.port}/", {}, "k", private=True, seconds=0.3)
    gone.set()


def test_a_redirect_is_not_followed() -> None:
    with (
        http_server(status(200)) as inside,
        http_server(status(307, Location=f"http://127.0.0.1:{inside.port}/")) as hook,
        pytest.raises(Problem, match="redirect"),
    ):
        webhook.post(f"http://127.0.0.1:{hook.port}/", {}, "k", private=True)
    assert not inside.requests


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
     "2130706433", "0x7f.1", "[fe80::1]", "100.64.0.1", "224.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"],
)  # fmt: skip
def test_addresses_inside_are_not_asked(host: str) -> None:
    with http_server(status(200)) as hook, pytest.raises(Problem, match=r"inside this machine|not known"):
        webhook.post(f"http://{host}:{hook.port}/", {}, "k", private=False, seconds=1)
    assert not hook.requests


def test_the_service_that_gives_out_credentials_is_never_asked() -> None:
    with pytest.raises(Problem, match="inside this machine"):
        webhook.judged("169.254.169.254", 80, private=True)


def test_a_name_with_one_address_inside_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", (address, 80)) for address in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: found)
    with pytest.raises(Problem, match=r"10\.0\.0\.1"):
        webhook.judged("two.example.org", 80, private=False)


def test_a_host_that_is_not_known() -> None:
    with pytest.raises(Problem, match="not known"):
        webhook.post("http://no-such-host.invalid/", {}, "k", private=False)


def test_texts_of_people_become_no_headers_and_every_language_arrives(workspace: Workspace) -> None:
    job = add_job(workspace, "running", name="训练 数学\r\nBcc: evil@example.org\u202e")
    with smtp_server() as post:
        options.change(workspace, to_mail(post.port), "ann")
        keep(workspace, job, finding())
        notify.deliver(workspace)
    made = email.message_from_bytes(post.messages[0], policy=email.policy.default)
    assert "Bcc" not in made
    assert "训练 数学 Bcc: evil@example.org" in made["Subject"]
    assert made["To"] == "ann@example.org, bo@example.org"
    assert "Loss rose to 6.9" in made.get_content()
    assert [c.upper()[:4] + c[4:] for c in post.commands if c.upper().startswith("RCPT")] == [
        "RCPT TO:<ann@example.org>",
        "RCPT TO:<bo@example.org>",
    ]


def test_a_protected_line_is_asked_for_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setenv("LATHE_SMTP_PASSWORD", "canary-password")
    with smtp_server(certificate) as post:
        chosen = Options(**to_mail(post.port, smtp_security="starttls", smtp_user="ann"))
        with pytest.raises(Problem, match="can't be protected"):
            notify.test(chosen, "mail")
        monkeypatch.setattr(
            mail, "ssl", SimpleNamespace(create_default_context=lambda: trusting, SSLError=ssl.SSLError)
        )
        notify.test(chosen, "mail")
    assert post.encrypted == [True]
    assert b"canary-password" not in post.messages[0]
    with smtp_server(certificate, tls=True) as post:
        notify.test(Options(**to_mail(post.port, smtp_security="tls")), "mail")
    assert post.encrypted == [True]
    with smtp_server() as post, pytest.raises(Problem, match="does not offer"):
        notify.test(Options(**to_mail(post.port, smtp_security="starttls")), "mail")
    assert not post.messages


def test_what_the_mail_server_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATHE_SMTP_PASSWORD", raising=False)
    with smtp_server(refuse=b"554 we take no \x1b[31mmail\r\n") as post:
        with pytest.raises(Problem, match="we take no"):
            notify.test(Options(**to_mail(post.port)), "mail")
        with pytest.raises(Problem, match="LATHE_SMTP_PASSWORD"):
            notify.test(Options(**to_mail(post.port, smtp_user="ann")), "mail")


@pytest.mark.parametrize("protected", [False, True])
def test_a_mail_server_that_drips_costs_its_time_and_no_more(
    protected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(mail, "ssl", SimpleNamespace(create_default_context=lambda: trusting, SSLError=ssl.SSLError))
    with dripping_server(certificate if protected else None) as port:
        chosen = Options(**to_mail(port, smtp_security="tls" if protected else "none"))
        with pytest.raises(Problem, match=r"within 0\.5 s"):
            mail.send(chosen, mail.message(chosen, "one", "two", "key", now()), seconds=0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook_url": "ftp://example.org/x"},
        {"webhook_url": "http://ann:secret@example.org/"},
        {"webhook_url": "http://example.org/ x"},
        {"webhook_url": "http://exämple.org/"},
        {"webhook_url": "http://"},
        {"webhook_url": "http://a:99999/"},
        {"mail_to": "ann@example.org\nBcc: x@y", "smtp_host": "a", "mail_from": "a@b"},
        {"mail_to": "änn@example.org", "smtp_host": "a", "mail_from": "a@b"},
        {"mail_to": "ann@example.org"},
        {"mail_from": "a@b, c@d"},
        {"smtp_host": "mail.example.org:25"},
        {"gpu_hour_price": -1},
        {"smtp_port": 0},
    ],
)
def test_options_that_can_mean_nothing_good_are_refused_in_our_words(wrong: dict[str, Any]) -> None:
    from platform_core.jobs.messages import validate

    found, findings = validate(Options, wrong)
    assert found is None
    assert findings[0].fields
    assert "pydantic" not in str(findings[0].text).lower()
    assert str(findings[0].text).endswith(".")


def test_options_remember_who_and_when_and_survive_nonsense(workspace: Workspace) -> None:
    options.change(workspace, {"core_hour_price": 0.05, "currency": "EUR"}, "ann")
    first = options.changes(workspace)["currency"]
    options.change(workspace, {"core_hour_price": 0.06, "currency": "EUR"}, "bo")
    who = options.changes(workspace)
    assert (who["currency"], who["core_hour_price"].actor) == (first, "bo")
    options.change(workspace, {"currency": None}, "bo")
    assert "currency" not in options.changes(workspace)
    from sqlalchemy import insert

    from platform_core.database.engine import writing
    from platform_core.database.tables import options as table

    with writing(workspace.engine) as connection:
        for name, value in {"mail_to": "a@b", "smtp_port": "x", "gone": 1}.items():
            connection.execute(insert(table).values(name=name, value=value, actor="x", since=0.0))
    found = options.current(workspace)
    assert (found.core_hour_price, found.mail_to, found.smtp_port) == (0.06, "", 587)
