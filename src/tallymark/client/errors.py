"""What goes wrong on the way to a server."""

__all__ = ["AddressError", "ClientError"]


class AddressError(ValueError):
    """A text is not the address of a server. The message is one line, without a password, and tells what to write."""


class ClientError(OSError):
    """A server cannot be reached, or does not answer in HTTP. The message is one line: who, what is wrong, what to do."""
