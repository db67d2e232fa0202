"""The operator's options: one Pydantic class, from which the page's form and the command line come."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from platform_core.jobs.spec import setting


class Options(BaseModel):
    """All options; an empty price shows no cost, an empty address sends nothing.

    The password of the mail server is no option: it is read from the environment (LATHE_SMTP_PASSWORD).
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    currency: str = setting(
        "USD", title="Currency", help="In which costs are shown.", group="Cost", min_length=1, max_length=8
    )
    gpu_hour_price: float | None = setting(
        None, title="Price of a GPU", help="What one GPU costs an hour.", group="Cost", unit="/h", ge=0, le=100_000
    )
    core_hour_price: float | None = setting(
        None,
        title="Price of a CPU core",
        help="What one core costs an hour.",
        group="Cost",
        unit="/h",
        ge=0,
        le=100_000,
    )
    alert_level: Literal["info", "warning", "critical"] = setting(
        "warning",
        title="Send from",
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
        title="Webhook may be inside",
        help="Allow an address of this machine or a private network.",
        group="Alerts",
    )
    mail_to: str = setting(
        "", title="E-mail to", help="Addresses, separated by commas.", group="Alerts", max_length=2000
    )
    mail_from: str = setting("", title="E-mail from", help="The sender.", group="Alerts", max_length=320)
    smtp_host: str = setting("", title="Mail server", help="Name of the SMTP server.", group="Alerts", max_length=255)
    smtp_port: int = setting(587, title="Port", help="Of the mail server.", group="Alerts", ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = setting(
        "starttls",
        title="Encryption",
        help="How the line to the mail server is protected.",
        group="Alerts",
        labels={"starttls": "STARTTLS", "tls": "TLS", "none": "None"},
    )
    smtp_user: str = setting("", title="Mail user", help="Empty: no login.", group="Alerts", max_length=320)
