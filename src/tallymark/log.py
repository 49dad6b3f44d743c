"""The logger of the package. A process that never logs never imports `logging`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging

__all__ = ["logger"]


def logger() -> logging.Logger:
    """Return the logger `tallymark`."""
    import logging

    return logging.getLogger("tallymark")
