"""`TLS`: its files are read at once, and again when they change; each fault names the file and the remedy."""

from __future__ import annotations

import logging
import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from raw_http import Client, get

import tallymark as tm
from tallymark.serve import tls as tls_module


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


@pytest.fixture
def files(certificates: Any, tmp_path: Path) -> dict[str, Path]:
    """Copies that a test may change, and some that are no good."""
    made = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "client_ca")}
    for name, path in made.items():
        shutil.copy(getattr(certificates, name), path)
    other = trustme.CA()
    made |= {name: tmp_path / f"{name}.pem" for name in ("other_key", "encrypted", "empty", "binary", "bad_cert", "bad_key")}
    other.issue_cert("localhost").private_key_pem.write_to_path(str(made["other_key"]))
    made["encrypted"].write_bytes(encrypted(made["key"].read_bytes(), b"correct horse"))
    made["empty"].touch()
    made["binary"].write_bytes(bytes(range(256)) * 10)
    for name in ("cert", "key"):
        made[f"bad_{name}"].write_text(made[name].read_text()[:200] + "\n-----END\n")
    made["missing"] = tmp_path / "missing.pem"
    made["folder"] = tmp_path
    return made


def encrypted(key: bytes, password: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, None)
    algorithm = serialization.BestAvailableEncryption(password)
    return loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, algorithm)


@pytest.mark.parametrize(
    ("changed", "culprit", "error", "message"),
    [
        ({"cert": "missing"}, "missing", FileNotFoundError, "file of cert, .* cannot be read: No such file"),
        ({"key": "missing"}, "missing", FileNotFoundError, "file of key, .* cannot be read: No such file"),
        ({"client_ca": "missing"}, "missing", FileNotFoundError, "file of client_ca, .* cannot be read: No such file"),
        ({"cert": "folder"}, "folder", IsADirectoryError, "file of cert, .* cannot be read: Is a directory"),
        ({"cert": "empty"}, "empty", ValueError, "file of cert, .* has no certificate in PEM format"),
        ({"cert": "binary"}, "binary", ValueError, "file of cert, .* has no certificate in PEM format"),
        ({"cert": "bad_cert"}, "bad_cert", ValueError, "file of cert, .* has a damaged certificate"),
        ({"cert": "key", "key": "cert"}, "key", ValueError, "file of cert, .* are cert and key in the wrong order"),
        ({"key": "empty"}, "empty", ValueError, "file of key, .* has no private key in PEM format"),
        ({"key": "binary"}, "binary", ValueError, "file of key, .* has no private key in PEM format"),
        ({"key": "bad_key"}, "bad_key", ValueError, "file of key, .* has a damaged key"),
        ({"key": "other_key"}, "other_key", ValueError, "file of key, .* is not the key of the certificate in '.*cert.pem'"),
        ({"key": "encrypted"}, "encrypted", ValueError, "file of key, .* is encrypted; give its password"),
        ({"client_ca": "key"}, "key", ValueError, "file of client_ca, .* has no certificate in PEM format"),
        ({"client_ca": "bad_cert"}, "bad_cert", ValueError, "file of client_ca, .* has a damaged certificate"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_good_is_named(
    files: dict[str, Path], changed: dict[str, str], culprit: str, error: type[Exception], message: str
) -> None:
    names = {"cert": "cert", "key": "key", "client_ca": "client_ca"} | changed
    with pytest.raises(error, match=message) as caught:
        tm.TLS(**{argument: files[name] for argument, name in names.items()})
    assert repr(str(files[culprit])) in str(caught.value)


def test_a_key_that_is_encrypted_takes_its_password(files: dict[str, Path]) -> None:
    tls = tm.TLS(files["cert"], files["encrypted"], password="correct horse")
    assert "correct horse" not in repr(tls)
    with pytest.raises(ValueError, match="cannot be decrypted; is the password right") as caught:
        tm.TLS(files["cert"], files["encrypted"], password="battery staple")
    assert "battery staple" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cert": b"a", "key": "b"}, "cert must be the path of a file, not bytes"),
        ({"cert": "a", "key": None}, "key must be the path of a file, not NoneType"),
        ({"cert": "a", "key": "b", "client_ca": True}, "client_ca must be the path of a file, not bool"),
        ({"cert": "a", "key": "b", "password": b"c"}, "password must be a str, not bytes"),
    ],
)  # fmt: skip
def test_what_is_no_path_is_a_type_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        tm.TLS(**arguments)


def test_serve_takes_no_other_object(registry: tm.Registry, certificates: Any) -> None:
    for wrong in (ssl.create_default_context(), (certificates.cert, certificates.key), True):
        with pytest.raises(TypeError, match=r"tls must be tm.TLS\(cert, key\), not"):
            tm.serve(0, registry=registry, tls=wrong)  # type: ignore[arg-type]


def test_it_shows_its_files_and_speaks_no_old_version(files: dict[str, Path]) -> None:
    tls = tm.TLS(str(files["cert"]), files["key"], files["client_ca"])
    assert repr(tls) == f"TLS(cert={str(files['cert'])!r}, key={str(files['key'])!r}, client_ca={str(files['client_ca'])!r})"
    assert repr(tm.TLS(files["cert"], files["key"])) == f"TLS(cert={str(files['cert'])!r}, key={str(files['key'])!r})"
    context = tls.context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert tm.TLS(files["cert"], files["key"]).context().verify_mode == ssl.CERT_NONE


# Renewal


def replace(path: Path, content: bytes) -> None:
    """Replace a file as those do who renew certificates: with another file."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, path)


def renewed(certificates: Any) -> tuple[bytes, bytes]:
    issued = certificates.authority.issue_cert("localhost", "renewed.example.org")
    return b"".join(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes()


def names(server: tm.Server, certificates: Any) -> set[str]:
    """Return the names in the certificate that a server shows."""
    context = ssl.create_default_context(cafile=str(certificates.client_ca))
    with Client(server, context=context) as client:
        shown: Any = client.socket
        return {name for _, name in shown.getpeercert()["subjectAltName"]}


def test_a_renewed_certificate_is_shown_to_new_clients_and_old_ones_go_on(
    registry: tm.Registry, files: dict[str, Path], certificates: Any
) -> None:
    tls = tm.TLS(files["cert"], files["key"])
    assert tls.context() is tls.context()
    with tm.serve(0, registry=registry, tls=tls) as server, Client(server) as kept:
        assert "renewed.example.org" not in names(server, certificates)
        cert, key = renewed(certificates)
        replace(files["cert"], cert)
        replace(files["key"], key)
        assert "renewed.example.org" in names(server, certificates)
        assert kept.ask(b"GET /metrics HTTP/1.1\r\n\r\n").status == 200


def test_until_all_files_are_renewed_the_old_ones_are_used_and_it_is_logged_once(
    registry: tm.Registry, files: dict[str, Path], certificates: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = renewed(certificates)
    with (
        tm.serve(0, registry=registry, tls=tm.TLS(files["cert"], files["key"])) as server,
        caplog.at_level(logging.ERROR, "tallymark"),
    ):
        replace(files["cert"], cert)
        for _ in range(3):
            assert "renewed.example.org" not in names(server, certificates)
        assert [record.getMessage() for record in caplog.records] == [
            "the metrics endpoint goes on with the certificate that it has, as "
            f"the file of key, {str(files['key'])!r}, is not the key of the certificate in {str(files['cert'])!r}"
        ]
        files["key"].unlink()
        assert get(server, "/healthz").status == 200
        assert "No such file" in caplog.records[-1].getMessage()
        files["key"].write_bytes(key)
        assert "renewed.example.org" in names(server, certificates)
    assert len(caplog.records) == 2


def test_a_file_is_read_again_as_soon_as_that_is_allowed(
    files: dict[str, Path], certificates: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those who renew certificates copy a file as root, and then give it to the service."""
    tls = tm.TLS(files["cert"], files["key"])
    before = tls.context()
    cert, key = renewed(certificates)
    replace(files["cert"], cert)
    replace(files["key"], key)

    def forbidden(name: str, path: str) -> bytes:
        raise PermissionError(13, f"the file of {name} cannot be read")

    with monkeypatch.context() as patch:  # root may read whatever its mode is
        patch.setattr(tls_module, "_read", forbidden)
        assert tls.context() is before
    assert len(caplog.records) == 1
    ticked = files["key"].stat().st_ctime_ns
    while files["key"].stat().st_ctime_ns == ticked:  # the system's clock of files is a coarse one
        files["key"].chmod(0o400)
    assert tls.context() is not before


def test_files_are_found_again_from_another_folder(
    files: dict[str, Path], certificates: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(files["cert"].parent)
    tls = tm.TLS(files["cert"].name, files["key"].name)
    before = tls.context()
    monkeypatch.chdir("/")
    assert tls.context() is before
    cert, key = renewed(certificates)
    replace(files["cert"], cert)
    replace(files["key"], key)
    assert tls.context() is not before
    assert caplog.records == []
