"""Reading metrics from elsewhere: the page of any Prometheus endpoint, or a file that processes share.

`open_source("http://127.0.0.1:9464/metrics").snapshot()` is a `Snapshot`, as a registry's own. Pages are read with the parser
of `prometheus_client`: `pip install 'tallymark[top]'`.
"""

from tallymark.read.errors import ReadError
from tallymark.read.source import Source, open_source

__all__ = ["ReadError", "Source", "open_source"]
