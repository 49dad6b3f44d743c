"""A profile as a flame graph: one SVG file, without scripts. A box below another is called by it; its width is its cost."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from tallymark.bench.result.profile import Profile
from tallymark.bench.units import format_bytes, format_count, format_percent, format_seconds

__all__ = ["flame_svg"]

WIDTH, ROW, TOP, MARGIN, LETTER = 1200.0, 18, 48, 10, 6.7
NARROWEST = 0.3  # narrower boxes are left out

STYLE = """
text { font: 11px ui-monospace, Menlo, Consolas, monospace; fill: #111; }
.about { fill: #444; } .title { font-size: 14px; }
rect.box { stroke: #fff; stroke-width: .6; }
g:hover > rect.box { stroke: #000; }
"""


@dataclass
class _Box:
    """A node as drawn: its inclusive value, and where it lies."""

    value: float
    x: float = 0.0
    depth: int = 0


def flame_svg(profile: Profile, by: str = "allocs") -> str:
    """Return a profile as the text of an SVG file, by `allocs`, `bytes` or `time`."""
    boxes = _boxes(profile, by)
    whole = sum(box.value for node, box in zip(profile.nodes, boxes, strict=True) if node.parent < 0)
    _lay_out(profile, boxes)
    scale = (WIDTH - 2 * MARGIN) / whole if whole > 0 else 0.0
    drawn = [(i, box) for i, box in enumerate(boxes) if box.value * scale >= NARROWEST]
    height = TOP + ROW * (2 + max((box.depth for _, box in drawn), default=0)) + MARGIN
    title = text(profile.name)
    said = _figure(by, whole) if whole > 0 else "none"
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH:.0f} {height}" width="{WIDTH:.0f}">',
        f"<title>{title}: {by} of one op, by line</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH:.0f}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{MARGIN}" y="20">{title}</text>',
        f'<text class="about" x="{MARGIN}" y="38">{by} of one op in steady state: {said}. A box is a line, below the line that'
        " calls it.</text>",
        _box("one op", "one op", f"{said} (100%)", (MARGIN, TOP, WIDTH - 2 * MARGIN), "#ddd"),
        *(_drawn(profile, i, box, by, whole, scale) for i, box in drawn),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _boxes(profile: Profile, by: str) -> list[_Box]:
    """Return the inclusive values. A rate below 0, as free lists may cause, counts as none."""
    boxes = [_Box(max(0.0, getattr(node.cost, by))) for node in profile.nodes]
    for i in range(len(boxes) - 1, -1, -1):  # a caller comes before what it calls
        parent = profile.nodes[i].parent
        if parent >= 0:
            boxes[parent].value += boxes[i].value
    return boxes


def _lay_out(profile: Profile, boxes: list[_Box]) -> None:
    children: dict[int, list[int]] = {}
    for i, node in enumerate(profile.nodes):
        children.setdefault(node.parent, []).append(i)
    waiting = [(-1, 0.0, 1)]
    while waiting:
        parent, x, depth = waiting.pop()
        for i in sorted(children.get(parent, ()), key=lambda i: (profile.nodes[i].place.file, profile.nodes[i].place.line)):
            boxes[i].x, boxes[i].depth = x, depth
            waiting.append((i, x, depth + 1))
            x += boxes[i].value


def _drawn(profile: Profile, i: int, box: _Box, by: str, whole: float, scale: float) -> str:
    place = profile.nodes[i].place
    label = f"{place.function} {place.name}" if place.file else place.function
    own = _figure(by, max(0.0, getattr(profile.nodes[i].cost, by)))
    said = f"{_figure(by, box.value)} ({format_percent(box.value / whole)}), of which the line itself {own}"
    hue = zlib.crc32(place.file.encode(errors="replace")) % 360
    light = 68 + zlib.crc32(place.function.encode(errors="replace")) % 14
    where = (MARGIN + box.x * scale, TOP + ROW * box.depth, box.value * scale)
    return _box(label, f"{label}\n{place.text}" if place.text else label, said, where, f"hsl({hue},70%,{light}%)")


def _box(label: str, title: str, said: str, where: tuple[float, float, float], fill: str) -> str:
    x, y, width = where
    letters = int((width - 6) / LETTER)
    shown = label if len(label) <= letters else label[: max(0, letters - 1)] + "…"
    inner = f'<text x="{x + 3:.1f}" y="{y + 12.5:.1f}">{text(shown)}</text>' if letters >= 3 else ""
    rect = f'<rect class="box" x="{x:.2f}" y="{y:.0f}" width="{width:.2f}" height="{ROW}" fill="{fill}"/>'
    return f"<g><title>{text(title)}\n{text(said)}</title>{rect}{inner}</g>"


def _figure(by: str, value: float) -> str:
    if by == "time":
        return format_seconds(value)
    return format_bytes(round(value, 6)) if by == "bytes" else f"{format_count(round(value, 6))} allocs"


def text(value: str) -> str:
    """Return text for XML: escaped, and without the characters that XML cannot hold."""
    return escape("".join(_legal(value)), quote=False)


def _legal(value: str) -> Iterator[str]:
    for one in value:
        legal = one in "\t\n\r" or " " <= one < "\ud800" or "\ue000" <= one < "\ufffe" or one > "\uffff"
        yield one if legal else "\ufffd"
