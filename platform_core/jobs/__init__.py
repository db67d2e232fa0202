"""Jobs: made, queued, started, ended, compared; their logs, what they need, what they cost."""
