"""A parser that takes options anywhere among several positional arguments."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["IntermixedParser"]


class IntermixedParser(argparse.ArgumentParser):
    """Takes `ab A B --quick FILE`, where argparse would give FILE no place: it matches all that is positional at once."""

    _within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._within:
            return super().parse_known_args(args, namespace)
        self._within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._within = False
