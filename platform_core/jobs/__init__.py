"""Jobs: made, checked, started, ended, run again, compared; what they need and what they cost."""
