"""The operational layer: one line of code records how often an operation happens, how long it takes and how it ends."""

from tallymark.operational.classify import Outcome, classify
from tallymark.operational.metrics import OperationalMetrics
from tallymark.operational.operation import Operation

__all__ = ["Operation", "OperationalMetrics", "Outcome", "classify"]
