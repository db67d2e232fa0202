"""Send an alert by e-mail over SMTP."""

from __future__ import annotations

import re
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from threading import Event

from platform_core.errors import Problem
from platform_core.options.spec import Options, addresses
from platform_core.security.limit import limited
from platform_core.settings import SMTP_PASSWORD

SECONDS = 15.0
"""For all of one mail: connect, protect, log in, send."""
SUBJECT_LENGTH = 180
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def message(options: Options, subject: str, body: str, key: str, at: float) -> EmailMessage:
    """The mail; `key` is the same whenever the same is sent again. A person's text can't become a header."""
    made = EmailMessage(policy=SMTP)
    made["Subject"] = CONTROLS.sub(" ", subject)[:SUBJECT_LENGTH]
    made["From"] = Address("lathe", addr_spec=options.mail_from)
    made["To"] = tuple(Address(addr_spec=address) for address in addresses(options.mail_to))
    made["Date"] = formatdate(at)
    made["Message-ID"] = f"<{key}@{options.mail_from.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(body.replace("\r\n", "\n").replace("\r", "\n"), cte="base64")
    return made


def send(options: Options, mail: EmailMessage, seconds: float = SECONDS) -> None:
    """Hand a mail to the server; raises Problem with what the server said."""
    host, password = options.smtp_host, SMTP_PASSWORD.read()
    if options.smtp_user and not password:
        raise Problem("The mail server's password is not set: start the platform with LATHE_SMTP_PASSWORD.")
    context = ssl.create_default_context()
    server = (
        smtplib.SMTP_SSL(timeout=seconds, context=context)
        if options.smtp_security == "tls"
        else smtplib.SMTP(timeout=seconds)
    )
    # the certificate's name, which else only a constructor that also connects sets
    server._host = host  # type: ignore[attr-defined]
    over = Event()
    try:
        with limited(lambda: server.sock, seconds) as over, server:
            server.connect(host, options.smtp_port)
            if options.smtp_security == "starttls":
                server.starttls(context=context)
            if options.smtp_user:
                server.login(options.smtp_user, password)
            refused = server.send_message(mail)
    except smtplib.SMTPNotSupportedError as error:
        raise Problem(
            "The mail server {host} does not offer what is asked of it ({reason}): look at Encryption and Mail user.",
            host=host,
            reason=_said(error),
        ) from error
    except smtplib.SMTPAuthenticationError as error:
        raise Problem(
            "The mail server {host} refuses the login of {user}: check it and LATHE_SMTP_PASSWORD.",
            host=host,
            user=options.smtp_user,
        ) from error
    except ssl.SSLError as error:
        raise Problem(
            "The line to the mail server {host} can't be protected: {reason}.", host=host, reason=str(error.reason)
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        if over.is_set() or isinstance(error, TimeoutError):
            raise Problem(
                "The mail server {host} did not take the mail within {seconds} s.", host=host, seconds=f"{seconds:g}"
            ) from error
        raise Problem(
            "The mail server {host} does not take the mail: {reason}.", host=host, reason=_said(error)
        ) from error
    if refused:
        raise Problem("The mail server {host} refuses {who}.", host=host, who=", ".join(sorted(refused)))


def _said(error: Exception) -> str:
    answer = getattr(error, "smtp_error", b"")
    said = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return CONTROLS.sub(" ", said or str(error) or type(error).__name__)[:300]
