"""The uid of a dashboard: the same each time, so that one that is written again replaces the one before."""

from __future__ import annotations

import re
from hashlib import sha256

from tallymark.grafana.errors import GrafanaError

__all__ = ["dashboard_uid"]

_LONGEST = 40
_LONGEST_SLUG = 19


def dashboard_uid(slug: str, name: str = "") -> str:
    """Return the uid of a dashboard, which is the name of its file too.

    Args:
        slug: what it shows. One that is too long, of metrics with a long prefix, is cut, with a digest of the whole.
        name: of the service; may be empty. One without any letter that a uid may have becomes a digest.

    Raises:
        GrafanaError: it would be longer than Grafana allows.
    """
    service = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or (_digest(name) if name else "")
    uid = "-".join(filter(None, ["tallymark", service, slug]))
    if len(uid) > _LONGEST and len(slug) > _LONGEST_SLUG:
        digest = _digest(slug)
        return dashboard_uid(f"{slug[: _LONGEST_SLUG - len(digest) - 1]}-{digest}", name)
    if len(uid) > _LONGEST:
        raise GrafanaError(
            f"name {name!r} is too long: the uid {uid!r} has more than {_LONGEST} characters; choose a shorter one"
        )
    return uid


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
