"""What trains: one folder an engine, in it one file an algorithm."""
