"""Where a process runs: host, container, Kubernetes and cloud, as tags and as gauges. Nothing here uses the network.

`Host` holds what is known; `detect_host` detects it. The rest are its sources: `Tree` and `Environment` hold the files and the
variables, none of which is trusted; `container`, `kubernetes` and `cgroup` interpret them.
"""

from tallymark.host.host import Host, detect_host

__all__ = ["Host", "detect_host"]
