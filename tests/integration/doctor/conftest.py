"""The small datasets and models of the engines' tests."""

from tests.integration.engines.conftest import files, model, taught, tokenizer

__all__ = ["files", "model", "taught", "tokenizer"]
