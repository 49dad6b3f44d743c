"""The file of rules that Prometheus reads: YAML."""

from __future__ import annotations

from typing import Any

from tallymark.grafana.errors import GrafanaError

__all__ = ["rules_text"]


def rules_text(groups: dict[str, Any]) -> str:
    """Return rules as YAML. Expressions of several lines stay readable.

    Raises:
        GrafanaError: the package that writes YAML is missing.
    """
    try:
        import yaml
    except ImportError:
        raise GrafanaError("rules need the package pyyaml: pip install 'tallymark[grafana]'") from None

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)  # lists are indented too

        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return str(yaml.dump(groups, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000))
