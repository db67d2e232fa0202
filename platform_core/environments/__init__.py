"""Interpreters that jobs can run with: the one of the platform itself, and others beside it."""
