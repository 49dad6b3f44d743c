"""What goes wrong in a check."""

__all__ = ["CheckError"]


class CheckError(OSError):
    """A backend cannot be checked, or a report did not arrive. The message is one line, without secrets."""
