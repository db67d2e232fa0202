"""One file a kind of reward function; each declares `KIND`."""
