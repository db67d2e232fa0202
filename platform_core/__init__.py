"""Everything the platform knows, without a page and without a tensor: one folder a noun."""
