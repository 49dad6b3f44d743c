"""The uid of a dashboard: the same each time, so that one that is written again replaces the one before."""

from __future__ import annotations

import re

from tallymark.grafana.errors import GrafanaError

__all__ = ["dashboard_uid"]

_LONGEST = 40


def dashboard_uid(slug: str, name: str = "") -> str:
    """Return the uid of a dashboard, which is the name of its file too.

    Args:
        slug: what it shows.
        name: of the service; may be empty.

    Raises:
        GrafanaError: it would be longer than Grafana allows.
    """
    uid = "-".join(["tallymark", *([re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")] if name else []), slug])
    if len(uid) > _LONGEST:
        raise GrafanaError(
            f"name {name!r} is too long: the uid {uid!r} has more than {_LONGEST} characters; choose a shorter one"
        )
    return uid
