"""The queue: who waits, whose turn it is, what may start with what is free, and why the others wait."""
