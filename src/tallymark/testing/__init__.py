"""What tests of a service need: registries with queries for what was recorded, and a replacement for the operational layer.

The pytest plugin `tallymark.testing.plugin` gives a test a fresh registry. Nothing here needs pytest otherwise.
"""

from tallymark.operational import Operation
from tallymark.testing.calls import Call, ErrorCall, EventCall, OperationCall, ValueCall
from tallymark.testing.current import use_everywhere
from tallymark.testing.operations import RecordedOperations
from tallymark.testing.recorder import Recorder, RecordingRegistry
from tallymark.testing.series import RecordedSeries

__all__ = [
    "Call",
    "ErrorCall",
    "EventCall",
    "Operation",
    "OperationCall",
    "RecordedOperations",
    "RecordedSeries",
    "Recorder",
    "RecordingRegistry",
    "ValueCall",
    "use_everywhere",
]


def __dir__() -> list[str]:
    return sorted(__all__)
