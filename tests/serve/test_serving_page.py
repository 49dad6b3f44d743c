"""docs/serving.md: its commands and configurations work as they are written, with a real Prometheus too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from raw_http import PATIENCE, eventually

import tallymark as tm

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
MAKE_CERTIFICATE, CURL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
TLS_LINE, CREDENTIALS = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
BASIC, BEARER = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def program(name: str) -> str:
    """Return the path of a program; without it, skip, or fail if the environment requires it."""
    path = shutil.which(name)
    if path is None:
        if "prom" in name and os.environ.get("TALLYMARK_REQUIRE_PROMETHEUS") == "1":
            pytest.fail(f"{name} is not on the PATH, but TALLYMARK_REQUIRE_PROMETHEUS=1")
        pytest.skip(f"{name} is not on the PATH")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Any) -> Path:
    """Where the page's files are: the current directory."""
    program("openssl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METRICS_PASSWORD", "pässword")
    monkeypatch.setenv("METRICS_TOKEN", "tøken")
    subprocess.run(MAKE_CERTIFICATE, shell=True, check=True, capture_output=True)
    Path("password").write_text("pässword", encoding="utf-8")
    Path("token").write_text("tøken", encoding="utf-8")
    issued = certificates.authority.issue_cert("prometheus.example.org")
    issued.private_key_pem.write_to_path("prometheus.key")
    issued.cert_chain_pems[0].write_to_path("prometheus.crt")
    shutil.copy(certificates.client_ca, "clients.crt")
    return tmp_path


def started(line: str, registry: tm.Registry, tls: tm.TLS | None = None) -> tm.Server:
    """Run a line of the page that starts a server, on a free port."""
    line = re.sub(r"port=9464(, host=\S+,)?", "port=0,", line).replace(",,", ",")
    names: dict[str, Any] = {"tm": tm, "os": os, "tls": tls}
    with tm.use(registry):
        exec(line, names)
    return names["server"]  # type: ignore[no-any-return]


def test_the_certificate_is_made_and_curl_believes_it(folder: Path) -> None:
    program("curl")
    registry = tm.Registry()
    registry.counter("hits").inc()
    with started(TLS_LINE, registry) as server:
        command = CURL.replace("9464", str(server.port)).replace("curl", "curl --silent --show-error --fail --noproxy '*'")
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=PATIENCE)
    assert "hits_total 1.0\n" in done.stdout, done.stderr


def test_each_line_with_credentials_runs(folder: Path) -> None:
    basic, bearer, app = CREDENTIALS.splitlines()
    for line in (basic, bearer):
        started(line, tm.Registry(), tm.TLS("server.crt", "server.key")).close()
    exec(app, {"tm": tm, "os": os})


@pytest.mark.parametrize("configuration", [BASIC, BEARER], ids=["basic", "bearer"])
def test_promtool_accepts_the_configurations(folder: Path, configuration: str) -> None:
    Path("prometheus.yml").write_text(configuration, encoding="utf-8")
    command = [program("promtool"), "check", "config", "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def prometheus(configuration: str, folder: Path) -> Iterator[str]:
    """Run Prometheus with a configuration of the page that scrapes each second, and give its address."""
    path = folder / "prometheus.yml"
    path.write_text(configuration.replace("  - job_name: service\n", "  - job_name: service\n    scrape_interval: 1s\n"))
    command = [program("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}"]
    log = folder / "prometheus.log"
    with log.open("wb") as file:
        process = subprocess.Popen([*command, "--web.listen-address=127.0.0.1:0"], stderr=file, cwd=folder)
    try:
        assert eventually(lambda: "Server is ready" in log.read_text())
        yield re.findall(r"Listening on.*address=(\S+)", log.read_text())[0]
    finally:
        process.terminate()
        process.wait(PATIENCE)


def value_of(address: str, query: str) -> str:
    """Return what Prometheus knows; empty if that is nothing."""
    with urllib.request.urlopen(f"http://{address}/api/v1/query?query={query}", timeout=PATIENCE) as answer:
        found = json.load(answer)["data"]["result"]
    return str(found[0]["value"][1]) if found else ""


@pytest.mark.slow
@pytest.mark.parametrize("configuration", [BASIC, BEARER], ids=["basic", "bearer"])
def test_prometheus_scrapes_with_tls_and_credentials(folder: Path, configuration: str) -> None:
    registry = tm.Registry()
    registry.counter("hits").inc(3)
    line = CREDENTIALS.splitlines()[configuration is BEARER]
    client_ca = "clients.crt" if configuration is BEARER else None
    with (
        started(line, registry, tm.TLS("server.crt", "server.key", client_ca)) as server,
        prometheus(configuration.replace("9464", str(server.port)), folder) as address,
    ):
        assert eventually(lambda: value_of(address, "up") == "1")
        assert eventually(lambda: value_of(address, "hits_total") == "3")
