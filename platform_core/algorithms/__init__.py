"""What can be asked of each kind of job: one file a kind, found by listing; what several share stands beside them."""
