"""Certificates, and `tls`: a test that asks for it runs over plain HTTP and over TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

import tallymark as tm


@dataclass(frozen=True)
class Certificates:
    """The files of a certificate for this machine, and who signed it."""

    authority: trustme.CA
    folder: Path
    cert: Path
    key: Path
    client_ca: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    files = Certificates(authority, folder, folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    for number, pem in enumerate(issued.cert_chain_pems):
        pem.write_to_path(str(files.cert), append=number > 0)
    issued.private_key_pem.write_to_path(str(files.key))
    authority.cert_pem.write_to_path(str(files.client_ca))
    return files


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> tm.TLS | None:
    return tm.TLS(certificates.cert, certificates.key) if request.param == "tls" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run what is asked for over TLS on one engine: encryption knows of none."""

    def is_repetition(item: pytest.Item) -> bool:
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        return (given.get("tls"), given.get("engine")) == ("tls", "reference")

    repetitions = [item for item in items if is_repetition(item)]
    config.hook.pytest_deselected(items=repetitions)
    items[:] = [item for item in items if not is_repetition(item)]
