"""`lathe eval …`: the kinds of job that judge a model."""

from __future__ import annotations

from app.commands.train import Kinds

command = Kinds("eval", ("evaluate",), help="Score a model on questions with known answers.")
