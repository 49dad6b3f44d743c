"""Write the docstrings of the reference engine into the header that the native one compiles: `python tools/native_docs.py`.

So both engines have the same docstrings, which a test checks.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import FunctionType

from tallymark.engine import reference

CLASSES = (
    "TagSet", "Family", "Instrument", "Counter", "Gauge", "Histogram", "Timer", "Timing", "OperationRecorder", "Exposition",
)  # fmt: skip
FUNCTIONS = ("difference", "frozen", "number_lines", "observation_lines", "tag_fields", "tag_texts")
HEADER = Path(__file__).parents[1] / "src/tallymark/engine/native/docs.h"


def signature(name: str, function: FunctionType) -> str:
    """Return a function's signature in the form that `inspect` reads from C docstrings."""
    plain = [p.replace(annotation=p.empty) for p in inspect.signature(function).parameters.values()]
    text = str(inspect.Signature(plain))
    if name in FUNCTIONS:
        return f"{name}{text.replace('(', '($module, ', 1)}\n--\n\n"
    text = text.replace("(self", "($self", 1)
    if "/" not in text:
        text = text.replace("($self", "($self, /", 1)
    return f"{name}{text}\n--\n\n"


def constructor(cls: type) -> str:
    """Return the signature of a class's constructor in the same form."""
    plain = [p.replace(annotation=p.empty) for p in inspect.signature(cls).parameters.values()]
    return f"{cls.__name__}{inspect.Signature(plain)}\n--\n\n"


def entries() -> dict[str, str]:
    """Return the text of each macro by its name."""
    texts = {}
    for class_name in CLASSES:
        cls = getattr(reference, class_name)
        is_instrument = issubclass(cls, reference.Instrument)  # registries make these: nobody calls the class
        texts[class_name] = ("" if is_instrument else constructor(cls)) + (inspect.getdoc(cls) or "")
        members = {name for base in cls.__mro__ for name in vars(base)}
        for name in sorted(members):
            member = inspect.getattr_static(cls, name)
            if isinstance(member, FunctionType) and not name.startswith("__"):
                texts[f"{class_name}_{name}"] = signature(name, member) + (inspect.getdoc(member) or "")
            elif isinstance(member, property):
                texts[f"{class_name}_{name}"] = inspect.getdoc(member)
    for name in FUNCTIONS:
        function = getattr(reference, name)
        texts[name] = signature(name, function) + (inspect.getdoc(function) or "")

    return texts


def render() -> str:
    """Return the header."""
    macros = "\n".join(f"#define DOC_{name} {json.dumps(text)}" for name, text in entries().items())
    return f"/* Made by tools/native_docs.py from the reference engine's docstrings. */\n{macros}\n"


if __name__ == "__main__":
    HEADER.write_text(render())
