"""What Tallymark raises, for programming errors alone. Bad data never raises (see `Registry`)."""

__all__ = ["MetricConflictError", "SharedFileError", "TagError"]


class TagError(ValueError):
    """A tag that is not valid: its key is malformed, not allowed or not declared, or one series has too many tags."""


class MetricConflictError(ValueError):
    """A metric name that is already taken by another kind, unit, or set of bounds or tag keys."""


class SharedFileError(OSError):
    """A file that a registry cannot share with other processes: damaged, foreign, of another release, or not accessible."""
