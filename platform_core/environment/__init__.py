"""What this machine and the workspace have, and what is missing: the report of `lathe doctor`."""
