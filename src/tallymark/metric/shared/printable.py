"""Text that came from elsewhere, as a terminal or a log may show it."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """Return a text whose characters that are not printable (newlines, escapes, lone surrogates) are backslash escapes."""
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() else one.encode("unicode_escape").decode() for one in text])
