"""Logs of jobs: their bytes, lines, searches, and places by time or step."""
