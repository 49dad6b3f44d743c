"""Finds benchmarks that measure initialisation: their op makes anew what a service makes once.

`instrument` has an op's events recorded by `recorder`, and `meters` what they cost. `evidence` and `objects` tell what the op
made, and what is behind it. `first_use` judges.
"""

from tallymark.bench.measure.initialisation.find import find_initialisation

__all__ = ["find_initialisation"]
