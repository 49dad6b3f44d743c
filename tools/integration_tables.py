"""Writes into each page of an integration the table of what it records: `.venv/bin/python tools/integration_tables.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integrations"))

from records_table import PAGES, RECORDED, table, with_table


def main() -> None:
    for one in RECORDED:
        page = PAGES / f"{one.page}.md"
        page.write_text(with_table(page.read_text(encoding="utf-8"), table(one)), encoding="utf-8")


if __name__ == "__main__":
    main()
