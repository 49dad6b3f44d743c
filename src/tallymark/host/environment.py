"""`Environment`: what environment variables show about where a process runs."""

from __future__ import annotations

from collections.abc import Mapping

from tallymark.host.value import MAX_READ, clean

__all__ = ["Environment"]


class Environment:
    """Environment variables, and among them OpenTelemetry's resource attributes."""

    __slots__ = ("_attributes", "_variables")

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._attributes = _parse_attributes(variables.get("OTEL_RESOURCE_ATTRIBUTES"))

    def variable(self, *names: str) -> str | None:
        """Return the first of these variables that has a value."""
        return next(filter(None, (clean(self._variables.get(name)) for name in names)), None)

    def attribute(self, *keys: str) -> str | None:
        """Return the first of these attributes of `OTEL_RESOURCE_ATTRIBUTES` that has a value."""
        return next(filter(None, (self._attributes.get(key) for key in keys)), None)

    @property
    def attributes(self) -> Mapping[str, str]:
        """All attributes of `OTEL_RESOURCE_ATTRIBUTES` that have a value."""
        return self._attributes

    @property
    def region(self) -> str | None:
        """The cloud's region."""
        names = ("AWS_REGION", "AWS_DEFAULT_REGION", "GOOGLE_CLOUD_REGION", "CLOUD_REGION", "FLY_REGION", "REGION")
        return self.variable(*names) or self.attribute("cloud.region")

    @property
    def zone(self) -> str | None:
        """The cloud's availability zone."""
        names = ("AWS_AVAILABILITY_ZONE", "GOOGLE_CLOUD_ZONE", "AVAILABILITY_ZONE", "ZONE")
        return self.variable(*names) or self.attribute("cloud.availability_zone")

    @property
    def deployment(self) -> str | None:
        """What the service is deployed for: production, staging, a test."""
        return (
            self.variable("ENVIRONMENT")
            or _unless_path(self.variable("ENV"))
            or self.variable("DEPLOYMENT_ENVIRONMENT", "APP_ENV")
            or self.attribute("deployment.environment.name", "deployment.environment")
        )


def _unless_path(value: str | None) -> str | None:
    # POSIX has the shell run the file that ENV names, so on some systems it is /etc/profile or $HOME/.shrc.
    return None if value is None or value.startswith(("/", "~", "$", ".")) else value


def _parse_attributes(text: object) -> dict[str, str]:
    if not isinstance(text, str):
        return {}
    pairs = [pair.partition("=") for pair in text[:MAX_READ].split(",")]
    values = {key.strip(): clean(_unquote(value)) for key, _, value in pairs}
    return {key: value for key, value in values.items() if key and value}


def _unquote(value: str) -> str:
    if "%" not in value:
        return value
    from urllib.parse import unquote  # seldom needed, and not cheap to import

    return unquote(value)
