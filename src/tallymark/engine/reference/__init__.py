"""The reference engine: the contract of the record path in plain Python, to be read first.

How it stays correct over threads, signal handlers, finalisers and GC callbacks without a lock on the record path: CPython
hands over to another thread, runs a signal handler or (from 3.12) collects garbage only at function entry, at backward
jumps and after calls. Updating a live series uses none of these between its first read and its last write; each such
stretch is headed by the comment `Atomic`, and a test disassembles them. Everything else takes the lock of
`tallymark.engine.lock`. On a build of CPython that can run without a GIL, other threads run at any time: there these
stretches are under a second lock (`locked.py`), which makes a record slower.

A series is *live* while its family's table holds it: it is exported, and records go straight to its cells. Otherwise it
is *dormant* (removed, expired, or not recorded to yet), and the first record wakes it.
"""

from tallymark.engine.reference.counter import Counter
from tallymark.engine.reference.difference import difference
from tallymark.engine.reference.exposition import Exposition
from tallymark.engine.reference.family import Family
from tallymark.engine.reference.frozen import frozen
from tallymark.engine.reference.gauge import Gauge
from tallymark.engine.reference.histogram import Histogram
from tallymark.engine.reference.instrument import Instrument
from tallymark.engine.reference.number_lines import number_lines
from tallymark.engine.reference.observation_lines import observation_lines
from tallymark.engine.reference.operation_recorder import OperationRecorder
from tallymark.engine.reference.tag_fields import tag_fields
from tallymark.engine.reference.tag_texts import tag_texts
from tallymark.engine.reference.tagset import TagSet
from tallymark.engine.reference.timer import Timer
from tallymark.engine.reference.timing import Timing

__all__ = [
    "Counter", "Exposition", "Family", "Gauge", "Histogram", "Instrument", "OperationRecorder", "TagSet", "Timer", "Timing",
    "difference", "frozen", "name", "number_lines", "observation_lines", "tag_fields", "tag_texts",
]  # fmt: skip

name = "reference"
