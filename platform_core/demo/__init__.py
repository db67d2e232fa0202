"""The demo: its data, its seven jobs, its result."""
