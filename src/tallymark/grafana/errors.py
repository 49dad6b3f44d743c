"""What goes wrong in writing dashboards and rules."""

__all__ = ["GrafanaError"]


class GrafanaError(ValueError):
    """What was asked for cannot be written. The message is one line: whose fault it is, and what to do."""
