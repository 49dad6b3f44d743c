"""What a deployment asks for and nobody understands."""

__all__ = ["ConfigurationError"]


class ConfigurationError(ValueError):
    """A setting is not understood. The message is one line: what is set, and what is allowed. It has no secrets."""
