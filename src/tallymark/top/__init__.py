"""`tallymark top`: what goes on in a service, from snapshots: operations and routes, series that change, cardinality.

All that is shown comes from pure functions of two snapshots (`view.py`); they know no clock, no endpoint and no terminal.
"""
