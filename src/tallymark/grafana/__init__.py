"""Into Grafana and Prometheus: dashboards and rules for the metrics that a service really has.

`endpoint.py` finds out what there is, `subject.py` what of it is work that a service is asked for. Expressions are made in
`promql.py` and `distribution.py`, rules from `objective.py` and `indicator.py`. Dashboards are built with Grafana's own types:
`pip install 'tallymark[grafana]'`.
"""
