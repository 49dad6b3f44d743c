"""Reporters: they take snapshots and hand them to a backend, and own the threads and sockets for it."""
