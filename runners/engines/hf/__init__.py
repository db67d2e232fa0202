"""transformers, TRL and PEFT: one file an algorithm; what they share has files of its own."""
