"""The pages in docs/servers: their files, written where a test wants them, and their commands."""

from __future__ import annotations

import re
import shlex
import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from recipes import PATIENCE, poll

DOCS = Path(__file__).parents[2] / "docs" / "servers"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class Page:
    """A page whose files stand in a directory, with free ports instead of 8000 and 9464."""

    name: str
    directory: Path

    def __post_init__(self) -> None:
        text = (DOCS / f"{self.name}.md").read_text(encoding="utf-8")
        self.service, self.metrics = free_port(), free_port()
        self.commands = [self._adapted(command).strip() for command in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
        for file, content in re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL):
            (self.directory / file).write_text(self._adapted(content), encoding="utf-8")

    def _adapted(self, text: str) -> str:
        for given, used in {"8000": self.service, "9464": self.metrics, "/run/myapp": self.directory / "run"}.items():
            text = re.sub(rf"{given}\b", str(used), text)
        return text

    def arguments(self, part: str) -> list[str]:
        """Return the module, and its arguments, of the one command of the page that has this part."""
        [command] = [command for command in self.commands if part in command]
        program, *arguments = shlex.split(command)
        return [arguments[0].removesuffix(".py")] if program == "python" else [program, *arguments]

    def change(self, file: str, *changes: tuple[str, str]) -> None:
        """Change a file, as readers do."""
        path = self.directory / file
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


def scrape(port: int) -> dict[str, float]:
    """Return what is served, by name; nothing while nobody serves."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def listener(port: int, session: int, *, but: int = 0) -> int:
    """Wait until a process of a session, other than `but`, listens at a port; return its pid."""

    def look() -> int | None:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        sockets = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"}
        return next((pid for pid in members(session) if pid != but and sockets & descriptors(pid)), None)

    return poll(look, "somebody listens")


def members(session: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def descriptors(pid: int) -> set[str]:
    """Return what the descriptors of a process are; nothing if it has ended."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.add(str(path.readlink()))
        except OSError:
            continue
    return found
