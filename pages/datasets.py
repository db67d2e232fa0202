"""Datasets: what is there, what is wrong with it, what it can be used for."""

from __future__ import annotations

from app.page import header
from app.words import _

header(_("Datasets"), _("Your texts, prompts and answers: uploaded, checked row by row, ready to train on."))
