"""What Tallymark raises, for programming errors alone: bad data never raises (see `Registry`)."""

__all__ = ["MetricConflictError", "SharedFileError", "TagError"]


class TagError(ValueError):
    """A tag that cannot be: a key that is bad, not allowed or not declared, or too many tags on one series."""


class MetricConflictError(ValueError):
    """A metric name that is already taken by another kind, unit, or set of bounds or tag keys."""


class SharedFileError(OSError):
    """A file that a registry cannot share with other processes: damaged, foreign, of another version, or out of reach."""
