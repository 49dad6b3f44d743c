"""Records are counted once each, by their logger and level, however loggers and handlers are set up."""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op
from tallymark.integrations import logging as integration


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Loggers that log nowhere, and none of it left."""
    before, factory = logging.root.handlers[:], logging.getLogRecordFactory()
    logging.root.handlers[:] = [logging.NullHandler()]
    yield
    integration.uninstrument()
    logging.setLogRecordFactory(factory)
    logging.root.handlers[:] = before
    logging.disable(logging.NOTSET)


def counted(registry: tm.Registry) -> dict[tuple[str, str], float]:
    """Return what was counted, by logger and level."""
    found: Any = registry.snapshot()["logging.records"]
    return {(one.tags["logger"], one.tags["level"]): one.value for one in found if one.tags}


def test_each_record_counts_once_at_its_own_logger(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    child = logging.getLogger("counted.child")
    for one in (child, logging.getLogger("counted"), logging.getLogger()):
        one.addHandler(logging.NullHandler())  # a record of the child passes by three handlers
    child.warning("once")
    child.error("twice %s", 1)
    child.error("twice %s", 2)
    logging.getLogger("counted").critical("the parent")
    logging.getLogger().warning("the root")
    try:
        raise ValueError
    except ValueError:
        child.exception("with a traceback", stack_info=True, extra={"more": 1})
    assert counted(registry) == {
        ("counted.child", "WARNING"): 1, ("counted.child", "ERROR"): 3, ("counted", "CRITICAL"): 1, ("root", "WARNING"): 1,
    }  # fmt: skip


def test_a_logger_that_does_not_propagate_counts(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    alone = logging.getLogger("counted.alone")
    alone.propagate = False
    alone.warning("nobody hears")
    assert counted(registry) == {("counted.alone", "WARNING"): 1}


def test_a_disabled_level_does_not_count(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    logger = logging.getLogger("counted.quiet")
    logger.setLevel(logging.ERROR)
    logger.warning("below the level")
    logging.disable(logging.ERROR)
    logger.error("disabled")
    logger.critical("enabled")
    assert counted(registry) == {("counted.quiet", "CRITICAL"): 1}


def test_copies_of_a_record_do_not_count(registry: tm.Registry) -> None:
    """As a queue, a socket or a pickle carries them to another thread or process, which logs them again."""
    integration.instrument(registry=registry)
    records: queue.Queue[Any] = queue.Queue()
    logger = logging.getLogger("counted.queued")
    logger.addHandler(logging.handlers.QueueHandler(records))
    logger.warning("one")
    record = records.get()
    logger.removeHandler(logger.handlers[-1])
    logger.handle(logging.makeLogRecord(pickle.loads(pickle.dumps(record.__dict__))))
    assert counted(registry) == {("counted.queued", "WARNING"): 1}


@pytest.mark.parametrize(
    ("level", "name"),
    [(10, "DEBUG"), (35, "WARNING"), (25, "INFO"), (51, "CRITICAL"), (10**30, "CRITICAL"), (3, "NOTSET"), (-7, "NOTSET"),
     (True, "NOTSET")],
)  # fmt: skip
def test_a_level_without_a_name_counts_as_the_named_one_below(level: int, name: str, registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    logger = logging.getLogger("counted.levels")
    logger.handle(logging.getLogRecordFactory()("counted.levels", level, "f", 1, "m", (), None))
    assert counted(registry) == {("counted.levels", name): 1}


def test_a_level_of_ones_own_counts_by_its_name(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "_levelToName", dict(logging._levelToName))
    monkeypatch.setattr(logging, "_nameToLevel", dict(logging._nameToLevel))
    logging.addLevelName(25, "NOTICE")
    integration.instrument(registry=registry)
    logging.getLogger("counted.own").setLevel(1)
    logging.getLogger("counted.own").log(25, "")
    logging.getLogger("counted.own").log(29, "")
    assert counted(registry) == {("counted.own", "NOTICE"): 2}


def test_a_factory_that_was_there_before_makes_the_records(registry: tm.Registry) -> None:
    class Record(logging.LogRecord):
        """One of the service's own."""

    logging.setLogRecordFactory(Record)
    integration.instrument(registry=registry)
    logger = logging.getLogger("counted.own")
    made = logging.getLogRecordFactory()("a", 30, "f", 1, "m", (), None, func="g", sinfo="s", unknown=1)
    assert type(made) is Record
    assert (made.funcName, made.stack_info) == ("g", "s")
    logger.warning("m")
    integration.uninstrument()
    assert logging.getLogRecordFactory() is Record
    assert sum(counted(registry).values()) == 2


def test_a_factory_that_was_set_later_stays_and_still_works(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    ours = logging.getLogRecordFactory()

    def theirs(*args: Any, **kwargs: Any) -> logging.LogRecord:
        return ours(*args, **kwargs)

    logging.setLogRecordFactory(theirs)
    logging.getLogger("counted").warning("counts")
    integration.uninstrument()
    logging.getLogger("counted").warning("does not")
    assert logging.getLogRecordFactory() is theirs
    assert counted(registry) == {("counted", "WARNING"): 1}


def test_another_call_replaces_the_first_and_undoing_leaves_nothing(registry: tm.Registry) -> None:
    before, other = logging.getLogRecordFactory(), tm.Registry()
    integration.instrument(registry=other)
    with tm.use(registry):
        integration.instrument()
    with pytest.raises(TypeError, match="registry must be a Registry"):
        integration.instrument(registry=7)  # type: ignore[arg-type]
    logging.getLogger("counted").warning("one")
    integration.uninstrument()
    integration.uninstrument()
    assert logging.getLogRecordFactory() is before
    logging.getLogger("counted").warning("two")
    assert counted(registry) == {("counted", "WARNING"): 1}
    assert counted(other) == {}


HOSTILE = ["<script>alert(1)</script>", "\u202etxt.exe", "😀", "a\nb", 'quote"\\', "x" * 5000, "\ud800", "\x00", " "]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_any_name_of_a_logger_is_text(name: str, registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    logging.Logger(name).warning("%s", name)
    shown = name.encode("utf-8", "backslashreplace").decode()  # no format has lone surrogates
    shown = shown if len(name) <= 200 else name[:199] + "…"
    assert counted(registry)[shown, "WARNING"] == 1
    tm.render_prometheus(registry.snapshot()).decode("utf-8")


def test_many_loggers_stay_within_the_limits(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    for i in range(5000):
        logging.Logger(f"user-{i}").warning("")
    families: Any = registry.snapshot()["logging.records"]
    assert len(families) == 1001
    assert sum(one.value for one in families) == 5001  # with the warning about it of the logger `tallymark`
    assert registry.counter("logging.records").with_tags(overflow="true").value == 4001


def test_what_names_no_logger_breaks_nothing(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    make: Any = logging.getLogRecordFactory()
    for name, level in [(None, None), (["a"], 30), ("a", None), ("a", "30"), (object(), 1.5)]:
        record = make(name, level, "f", 1, "m", (), None)
        assert (record.name, record.levelno) == (name, level)
    assert counted(registry) == {}


def test_threads_lose_no_record(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)

    def work() -> None:
        for _ in range(500):
            logging.getLogger("counted.threads").error("x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert counted(registry) == {("counted.threads", "ERROR"): 2000}


def test_counting_a_record_allocates_one_empty_dict() -> None:
    """For the keywords that a factory may be given, and is not."""
    record = logging.LogRecord("a", 30, "f", 1, "m", (), None)

    def make(
        name: Any, level: Any, fn: Any, lno: Any, msg: Any, args: Any, exc_info: Any, func: Any = None, sinfo: Any = None
    ) -> logging.LogRecord:
        return record

    logging.setLogRecordFactory(make)
    integration.instrument(registry=tm.Registry(engine="native"))
    counting = logging.getLogRecordFactory()

    def counts(iterations: Any) -> None:
        for _ in iterations:
            counting("a", 30, "f", 1, "m", (), None, "g", None)

    assert allocations_per_op(counts).allocs == 1
