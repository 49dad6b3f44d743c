"""How long a Prometheus takes to scrape 100,000 series: `python benchmarks/scrape_duration.py [--protobuf] [--seconds N]`.

It starts the `prometheus` that is installed, and what it scrapes, each in a process of its own: Tallymark; prometheus_client,
without the series that tell when others were created, so that both have as many; and Tallymark's server with a body that never
changes, which shows what Prometheus itself takes to receive, parse and store the samples. It prints the median, the least and
the greatest `scrape_duration_seconds` of each. `--protobuf` enables native histograms, so that Prometheus asks for protobuf:
prometheus_client has none, and sends text.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import prometheus_client as pc

import tallymark as tm
from plan.scrapes import SERIES, populated, serve_always

CLIENTS = ("tallymark", "prometheus_client", "constant")


def serve(client: str) -> None:
    """Serve until standard input is closed; print the port."""
    if client == "prometheus_client":
        pc.disable_created_metrics()
        registry = pc.CollectorRegistry()
        counter = pc.Counter("http_requests", "Requests.", ["method", "route"], registry=registry)
        for i in range(SERIES):
            counter.labels("GET" if i % 2 else "POST", f"/users/{i}").inc(i * 7 % 5000)
        port = pc.start_http_server(0, "127.0.0.1", registry)[0].server_port
    else:
        ours = populated(SERIES)
        if client == "constant":
            serve_always(tm.render_prometheus(ours.snapshot()))
        port = tm.serve(0, registry=ours).port
    print(port, flush=True)
    sys.stdin.read()


def measure(program: str, features: list[str], seconds: float) -> dict[str, list[float]]:
    """Return the durations of the scrapes of each client."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {client: _start(client, stack) for client in CLIENTS}
        jobs = [{"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for name, port in ports.items()]
        configuration = {"global": {"scrape_interval": "15s", "scrape_timeout": "15s"}, "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
        arguments = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", *features]
        log = stack.enter_context((folder / "log").open("wb"))
        command = [program, *arguments, "--web.listen-address=127.0.0.1:9468"]
        process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
        stack.callback(process.kill)
        time.sleep(seconds)
        if process.poll() is not None:
            raise SystemExit((folder / "log").read_text())
        return {name: _durations(name, seconds) for name in CLIENTS}


def _start(client: str, stack: ExitStack) -> int:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = stack.enter_context(subprocess.Popen([sys.executable, __file__, "--serve", client], text=True, **pipes))
    stack.callback(process.kill)
    return int(process.stdout.readline())  # type: ignore[union-attr]


def _durations(name: str, seconds: float) -> list[float]:
    """Return how long each scrape took that brought all samples, but for the first, which makes the series."""
    found = {metric: _samples(f'{metric}{{job="{name}"}}[{seconds:.0f}s]') for metric in ("scrape_samples_scraped", "up")}
    durations = _samples(f'scrape_duration_seconds{{job="{name}"}}[{seconds:.0f}s]')
    whole = [at for at, count in found["scrape_samples_scraped"].items() if count >= SERIES and found["up"].get(at) == 1]
    return [durations[at] for at in sorted(whole)][1:]


def _samples(selector: str) -> dict[float, float]:
    try:
        with urlopen(f"http://127.0.0.1:9468/api/v1/query?query={quote(selector)}", timeout=10) as response:
            result = json.load(response)["data"]["result"]
    except URLError:
        return {}
    return {at: float(value) for series in result for at, value in series["values"]}


def main() -> None:
    """Measure and print, or serve one client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--prometheus", default="prometheus", help="the program; by default the one on the PATH")
    parser.add_argument("--protobuf", action="store_true", help="enable native histograms")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to scrape each, every 15 seconds")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    features = ["--enable-feature=native-histograms"] if options.protobuf else []
    for name, durations in measure(options.prometheus, features, options.seconds).items():
        shown = f"median {median(durations):.3f} s, {min(durations):.3f} to {max(durations):.3f}" if durations else "-"
        print(f"{name:20}{shown} ({len(durations)} scrapes)")


if __name__ == "__main__":
    main()
