"""Folders that tests of the core look at."""

import json
import struct
from pathlib import Path


def model_folder(path: Path, tokenizer: bool = True, context: int = 128) -> Path:
    """A folder that looks like a tiny model: config, one tensor of twelve parameters, a tokenizer."""
    path.mkdir(parents=True)
    config = {"architectures": ["LlamaForCausalLM"], "vocab_size": 7, "max_position_embeddings": context}
    (path / "config.json").write_text(json.dumps(config))
    header = json.dumps({"w": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}, "__metadata__": {}}).encode()
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(48))
    if tokenizer:
        (path / "tokenizer.json").write_text("{}")
    return path
