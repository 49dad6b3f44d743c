"""The operational layer: how often, how long, how it ended, in one line for each operation."""

from tallymark.operational.classify import Outcome, classify
from tallymark.operational.metrics import OperationalMetrics
from tallymark.operational.operation import Operation

__all__ = ["Operation", "OperationalMetrics", "Outcome", "classify"]
