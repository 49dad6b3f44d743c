"""PromQL: how names, labels and conditions on them are written for one scraper.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ and, for names in quotes,
https://prometheus.io/docs/guides/utf8/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tallymark.export.escaping import (
    SCHEMES,
    UNDERSCORES,
    check_scheme,
    is_label_name,
    is_metric_name,
    label_name,
    quoted,
)
from tallymark.grafana.errors import GrafanaError

__all__ = ["ESCAPINGS", "OPPOSITES", "Spelling", "parse_selector", "sum_by", "underscored"]

ESCAPINGS = tuple(SCHEMES)
"""The schemes by which a scraper may have escaped names."""

OPPOSITES = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
"""The operators of conditions, and what each becomes if the condition must not hold."""

_CONDITION = re.compile(
    r"""\s*(?:(?P<label>[a-zA-Z_][a-zA-Z0-9_]*)|"(?P<quoted>(?:[^"\\\n]|\\.)+)")
    \s*(?P<operator>=~|!~|!=|=)
    \s*(?P<value>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)\s*""",
    re.VERBOSE,
)


_LITERAL = re.compile(r"\\[^1-9]|\[\^?\]?[^\]]*\]")
_NOT_RE2 = re.compile(r"\(\?(?:[=!>(#]|<[=!]|P=)|\\[1-9]|[*+?}]\+")
"""What Python has in regular expressions, and RE2 has not: https://github.com/google/re2/wiki/Syntax."""


class Spelling:
    """Writes names as a scraper knows them.

    Args:
        escaping: the scheme by which it escaped them; `"underscores"` is that of Prometheus 2, `"allow-utf-8"` that of
            Prometheus 3, which leaves names as they are. Those are written in quotes.
    """

    def __init__(self, escaping: str = UNDERSCORES) -> None:
        check_scheme(escaping)
        self.escaping = escaping

    def label(self, key: str) -> str:
        """Return the name of the label that a tag becomes, in quotes if it needs them."""
        name = label_name(key, self.escaping)
        return name if is_label_name(name) else quoted(name)

    def metric(self, name: str) -> str:
        """Return what a scraper makes of the name of a metric."""
        return SCHEMES[self.escaping](name, ":")

    def bare_label(self, key: str) -> str:
        """Return the name of the label that a tag becomes, without quotes: for legends, and for lists of labels' values."""
        return label_name(key, self.escaping)

    def condition(self, key: str, operator: str, value: str) -> str:
        """Return a condition on a label. `value` is any text: what needs escaping is escaped."""
        return f"{self.label(key)}{operator}{quoted(value)}"

    def chosen(self, key: str, variable: str) -> str:
        """Return the condition that a label is one of those that the user of a dashboard chose.

        Grafana escapes the values for a regular expression only: within double quotes, one with a quote or a backslash would
        end the text or change its meaning. Within backticks it does not.
        """
        return f"{self.label(key)}=~`${{{variable}:regex}}`"

    def selector(self, name: str, conditions: Iterable[str] = ()) -> str:
        """Return what selects the series of a metric under some conditions."""
        among = list(conditions)
        if not is_metric_name(name):
            return f"{{{','.join([quoted(name), *among])}}}"
        return f"{name}{{{','.join(among)}}}" if among else name

    def rate(self, name: str, window: str, alternatives: Sequence[Sequence[str]]) -> str:
        """Return the rate per second of the series that meet the conditions of at least one of the alternatives."""
        return " or ".join([f"rate({self.selector(name, conditions)}[{window}])" for conditions in alternatives])


def sum_by(labels: Sequence[str], expression: str) -> str:
    """Return a sum that keeps these labels apart, which are written as `Spelling.label` does."""
    return f"sum by ({', '.join(labels)}) ({expression})" if labels else f"sum({expression})"


def parse_selector(text: str) -> list[tuple[str, str, str]]:
    """Return the conditions of a selector, such as `job="api",env!="test"`: label, operator and value of each.

    Raises:
        GrafanaError: it is not one.
    """
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    found, place = [], 0
    while place < len(inner):
        match = _CONDITION.match(inner, place)
        if match is None or (match.end() < len(inner) and inner[match.end()] != ","):
            raise GrafanaError(
                f'selector {text!r}: cannot be read from {inner[place:]!r} on; write it as \'job="api",env!="test"\''
            )
        label = match["label"] or _unescaped(match["quoted"])
        found.append((label, match["operator"], _value(text, match)))
        place = match.end() + 1
    return found


def _value(text: str, match: re.Match[str]) -> str:
    value = match["value"]
    value = value[1:-1] if value[0] == "`" else _unescaped(value[1:-1])
    if match["operator"] in ("=~", "!~"):
        try:
            re.compile(value)
        except re.error as error:
            raise GrafanaError(f"selector {text!r}: {value!r} is not a regular expression: {error}") from None
        unknown = _NOT_RE2.search(_LITERAL.sub("x", value))
        if unknown:
            raise GrafanaError(f"selector {text!r}: {value!r}: Prometheus knows no {unknown[0]} in regular expressions")
    return value


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t", "r": "\r"}.get(match[1], match[1]), text)


def underscored(name: str) -> str:
    """Return a name as all spellings of it are compared: with `_` for what is not a letter or digit."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)
