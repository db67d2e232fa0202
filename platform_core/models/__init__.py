"""Models, adapters and tokenizers: the library, and what a folder holds."""
