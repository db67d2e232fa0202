"""Datasets: bytes to rows of any format, what they hold, and rows as a trainer takes them."""
