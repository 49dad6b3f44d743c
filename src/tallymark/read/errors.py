"""What goes wrong in reading metrics from elsewhere."""

__all__ = ["ReadError"]


class ReadError(OSError):
    """Metrics cannot be read. The message is one line: whose they are, what is wrong, and what to do."""
