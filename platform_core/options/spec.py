"""The operator's options: one Pydantic class, from which the page's form and the command line come."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator

from platform_core.jobs.spec import cross_field, setting

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
HOST = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}\.?|\[?[0-9A-Fa-f:.]+\]?")


def addresses(text: str) -> list[str]:
    """The e-mail addresses in a list separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


class Options(BaseModel):
    """All options; an empty price shows no cost, an empty address sends nothing.

    The password of the mail server is no option: it is read from the environment (LATHE_SMTP_PASSWORD).
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    currency: str = setting(
        "USD", title="Currency", help="In which costs are shown.", group="Cost", min_length=1, max_length=8
    )
    gpu_hour_price: float | None = setting(
        None,
        title="Price of a GPU",
        empty="not counted",
        help="What one GPU costs an hour.",
        group="Cost",
        unit="an hour",
        ge=0,
        le=100_000,
    )
    core_hour_price: float | None = setting(
        None,
        title="Price of a CPU core",
        empty="not counted",
        help="What one core costs an hour.",
        group="Cost",
        unit="an hour",
        ge=0,
        le=100_000,
    )
    alert_level: Literal["info", "warning", "critical"] = setting(
        "warning",
        title="Lowest level sent",
        help="Alerts of this level and above are sent.",
        group="Alerts",
        labels={"info": "Note", "warning": "Warning", "critical": "Critical"},
    )
    webhook_url: str = setting(
        "",
        title="Webhook",
        help="Gets each alert as JSON by POST. An address inside the lab's network must be allowed below.",
        group="Alerts",
        max_length=2000,
    )
    webhook_private: bool = setting(
        False,
        title="Private address allowed",
        help="The webhook may be on this machine or in a private network.",
        group="Alerts",
    )
    mail_to: str = setting(
        "", title="E-mail to", help="Addresses, separated by commas.", group="E-mail", max_length=2000
    )
    mail_from: str = setting("", title="E-mail from", help="The sender.", group="E-mail", max_length=320)
    smtp_host: str = setting("", title="Mail server", help="Name of the SMTP server.", group="E-mail", max_length=255)
    smtp_port: int = setting(587, title="Port", help="Of the mail server.", group="E-mail", ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = setting(
        "starttls",
        title="Encryption",
        help="How the line to the mail server is protected.",
        group="E-mail",
        labels={"starttls": "STARTTLS", "tls": "TLS", "none": "None"},
    )
    smtp_user: str = setting("", title="Mail user", help="Empty: no login.", group="E-mail", max_length=320)

    @field_validator("webhook_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not is_web_address(value):
            raise cross_field(
                "Webhook must be an address such as https://example.org/hook, without a name or password in it.",
                "webhook_url",
            )
        return value

    @field_validator("mail_to", "mail_from")
    @classmethod
    def _are_addresses(cls, value: str, info: ValidationInfo) -> str:
        name, found = str(info.field_name), addresses(value)
        wrong = next((a for a in found if not ADDRESS.fullmatch(a)), None)
        if wrong is not None:
            raise cross_field(
                "“{address}” is no e-mail address such as ann@example.org, in plain letters.", name, address=wrong[:60]
            )
        if name == "mail_from" and len(found) > 1:
            raise cross_field("There is one sender: give one address.", name)
        return ", ".join(found)

    @field_validator("smtp_host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        if value and not HOST.fullmatch(value):
            raise cross_field("Mail server must be a name such as mail.example.org, without a port.", "smtp_host")
        return value

    @field_validator("smtp_user", "currency")
    @classmethod
    def _one_line(cls, value: str, info: ValidationInfo) -> str:
        if not value.isprintable():
            raise cross_field("It must be one line of letters and signs.", str(info.field_name))
        return value.strip()

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Options:
        if self.mail_to:
            for name, title in (("smtp_host", "Mail server"), ("mail_from", "E-mail from")):
                if not getattr(self, name):
                    raise cross_field("{title} is needed to send e-mail.", name, title=title)
        return self


def is_web_address(text: str) -> bool:
    """Whether a text is an http(s) address that can be asked: a host, no login, nothing invisible."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        parts.scheme in ("http", "https")
        and bool(HOST.fullmatch(host))
        and "@" not in parts.netloc
        and "\\" not in text
        and port != 0
    )
