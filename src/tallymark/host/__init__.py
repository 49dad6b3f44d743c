"""Where a process runs: host, container, Kubernetes and cloud, as tags and as gauges. Nothing here uses the network.

`Host` is what is known, `detect_host` finds it out. The rest is where it comes from: `Tree` and `Environment` hold the files
and the variables, none of which is trusted; `container`, `kubernetes` and `cgroup` know what they mean.
"""

from tallymark.host.host import Host, detect_host

__all__ = ["Host", "detect_host"]
