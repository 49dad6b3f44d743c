"""`Identity`: whom the metrics of a report tell of, as the attributes of an OpenTelemetry resource."""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING, TypeAlias

from tallymark.host import detect_host
from tallymark.host.environment import Environment
from tallymark.host.value import clean
from tallymark.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    Value: TypeAlias = str | bool | int | float

__all__ = ["Identity"]

_NAMESPACE = uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320")
"""That of ids which are made from others. Source: OpenTelemetry's semantic conventions, `service.instance.id`."""


class Identity:
    """The attributes of a resource. Of what has one name, the last of these wins: the host, a report's `target_info`, the
    variables `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`, what was given.

    Args:
        given: attributes.
        environ: the variables.

    Raises:
        TypeError: a value is no text, number or bool.
        ValueError: a number takes more than 64 bits, or a key is empty.
    """

    def __init__(self, given: Mapping[str, Value], environ: Mapping[str, str]) -> None:
        for key, value in given.items():
            _check(key, value)
        self._host = {
            "service.name": f"unknown_service:{os.path.basename(sys.executable) or 'python'}",
            "telemetry.sdk.name": "tallymark",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": __version__,
            **detect_host(environ=environ).attributes(),
        }
        service = clean(environ.get("OTEL_SERVICE_NAME"))
        named = {"service.name": service} if service else {}
        self._chosen: dict[str, Value] = {**Environment(environ).attributes, **named, **given}
        self._process, self._instance = 0, ""

    def attributes(self, target: Mapping[str, str], shared_name: str) -> dict[str, Value]:
        """Return all attributes.

        Args:
            target: the tags of a report's `target_info`.
            shared_name: what all processes call a registry that they share: all have one `service.instance.id`. Empty: it is
                not shared; each process has its own id, also after a fork.
        """
        instance = {"service.instance.id": self._shared_id(shared_name) if shared_name else self._own_id()}
        return {**self._host, **instance, **target, **self._chosen}

    def _own_id(self) -> str:
        if self._process != os.getpid():
            self._process, self._instance = os.getpid(), str(uuid.uuid4())
        return self._instance

    def _shared_id(self, name: str) -> str:
        where = [self._host.get(key, "") for key in ("host.name", "container.id")]
        return str(uuid.uuid5(_NAMESPACE, "\n".join([*where, name]).encode("utf-8", "replace").decode()))


def _check(key: object, value: object) -> None:
    if not isinstance(key, str) or not isinstance(value, str | bool | int | float):
        raise TypeError(f"resource: {key!r} is a {type(value).__name__}, but an attribute is a text, a number or a bool")
    if not key:
        raise ValueError("resource: the key of an attribute must not be empty")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"resource: {key!r} is a number of more than 64 bits")
