"""`lathe eval …`: the kinds of job that judge a model."""

from __future__ import annotations

from app.commands.train import Kinds

command = Kinds(
    "eval",
    ("evaluate",),
    default="evaluate",
    help="Score a model on questions with known answers.",
    epilog="Options without a command are those of `evaluate`: lathe eval --model MODEL --dataset DATASET",
)
