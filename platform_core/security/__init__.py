"""The two ways out of the platform that a person can steer: a path, and the address of a server."""
