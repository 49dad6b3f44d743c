"""What goes wrong in reading metrics from elsewhere."""

__all__ = ["ParserMissingError", "ReadError"]


class ReadError(OSError):
    """Metrics cannot be read. The message is one line: whose they are, what is wrong, and what to do."""


class ParserMissingError(ReadError):
    """What reads a page of metrics is not installed."""

    def __init__(self, extra: str = "top") -> None:
        super().__init__(f"prometheus_client is needed to read it: pip install 'tallymark[{extra}]'")
