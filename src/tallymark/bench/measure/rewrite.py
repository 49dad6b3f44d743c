"""Rewrites a benchmark so that a plan decides, after each step of its op, which runs next: a step can be repeated in place.

A step is measured between `_tm_begin` and `_tm_end`, which the plan replaces: see `meters.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any

from tallymark.bench.measure.inline import definition, inlined
from tallymark.bench.measure.steps import Piece, own, split

MOST = 64  # steps


@dataclass(frozen=True)
class Step:
    """A part of an op, and where it stands."""

    piece: Piece
    block: int  # steps of one block run one after the other: those of the op, or of one `with`
    last: int  # the last step that is within this one: its own index if it has no body

    @property
    def text(self) -> str:
        return self.piece.text


@dataclass
class Rewritten:
    """A benchmark whose op asks a plan what to run."""

    steps: list[Step]
    function: Callable[..., Any]
    scope: dict[str, Any] = field(repr=False)

    def run(self, plan: Any, params: dict[str, Any]) -> None:
        """Run the benchmark. The plan's iterator gives the ops; see `_Writer` for what is called between steps."""
        self.scope.update(_tm_next=plan.next, _tm_entered=plan.entered, _tm_failed=plan.failed)
        self.function(_Steps(plan), **params)

    def measure_with(self, begin: Callable[[int], object], end: Callable[[int], object]) -> None:
        self.scope.update(_tm_begin=begin, _tm_end=end)


class _Steps:
    """The `b` of a rewritten benchmark."""

    bytes_processed = None

    def __init__(self, plan: Any) -> None:
        self._plan = plan

    def loop(self) -> Any:
        return iter(self._plan)

    def skip(self, reason: str = "") -> None:
        raise RuntimeError(reason)


def rewrite(function: Callable[..., Any]) -> Rewritten | None:
    """Return a benchmark rewritten, or None if its source is not available or its shape is not supported."""
    if not isinstance(function, FunctionType):
        return None
    found = definition(function)
    loop = _loop(found) if found else None
    if found is None or loop is None or any(isinstance(one, _ENDS) for one in own(loop.body)):
        return None
    bound: dict[str, Any] = {}
    writer = _Writer()
    loop.target = ast.Name("_tm_op", ast.Store())
    loop.body = _recovering(writer.block(inlined(split(loop.body), function, bound)))
    if len(writer.steps) > MOST:
        return None
    found.decorator_list = []
    scope = {**function.__globals__, **bound}
    return Rewritten(writer.steps, _compiled(found, function, scope), scope)


def _loop(function: ast.FunctionDef) -> ast.For | None:
    """Return the loop over `b.loop()`, wherever it stands in the function's own statements."""
    if not function.args.args:
        return None
    b = function.args.args[0].arg
    for node in own(function.body):
        if isinstance(node, ast.For) and ast.unparse(node.iter) == f"{b}.loop()" and not node.orelse:
            return node
    return None


_ENDS = (ast.Break, ast.Continue, ast.Return, ast.Yield, ast.YieldFrom, ast.Await)


class _Writer:
    """Writes each block as a loop over its steps.

    `_tm_next(i)` is called after step i, and returns the step of the same block that runs next, or -1 to leave the block.
    `_tm_entered(i)` is called when a `with` has begun.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._blocks = 0

    def block(self, pieces: list[Piece]) -> list[ast.stmt]:
        block, self._blocks = self._blocks, self._blocks + 1
        at = f"_tm_at_{block}"
        start = len(self.steps)
        choices: ast.stmt = ast.Pass()
        written = [self._step(piece, block, at) for piece in pieces]
        for index, body in reversed(written):
            test = ast.Compare(ast.Name(at, ast.Load()), [ast.Eq()], [ast.Constant(index)])
            choices = ast.If(test, body, [choices])
        going = ast.Compare(ast.Name(at, ast.Load()), [ast.GtE()], [ast.Constant(0)])
        first = _assign(at, ast.Constant(start))
        return [first, ast.While(going, [choices], [])]

    def _step(self, piece: Piece, block: int, at: str) -> tuple[int, list[ast.stmt]]:
        index = len(self.steps)
        self.steps.append(Step(piece, block, index))
        begin, end = ast.Expr(_call("_tm_begin", 0)), ast.Expr(_call("_tm_end", 1))
        body = [begin, piece.node, end]
        if piece.body is not None and isinstance(piece.node, ast.With):
            piece.node.body = [end, ast.Expr(_call("_tm_entered", index)), *self.block(piece.body), begin]
            body = [begin, piece.node, end]
            self.steps[index] = Step(piece, block, len(self.steps) - 1)
        return index, [*body, _assign(at, _call("_tm_next", index))]


def _call(name: str, argument: int) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), [ast.Constant(argument)], [])


def _assign(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _recovering(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return a body that notes errors: an op that is repeated in part may raise, as what it needs is gone."""
    (guard,) = ast.parse("try:\n    pass\nexcept (Exception, SystemExit):\n    if not _tm_failed():\n        raise\n").body
    assert isinstance(guard, ast.Try)  # noqa: S101
    guard.body = body
    return [guard]


def _compiled(found: ast.FunctionDef, original: FunctionType, scope: dict[str, Any]) -> Callable[..., Any]:
    """Compile a rewritten function with the globals, the defaults and the closure of the original."""
    free = original.__code__.co_freevars
    inner: list[ast.stmt] = [found]
    if free:
        outer = ast.parse(f"def _tm_outer({', '.join(free)}): pass").body[0]
        assert isinstance(outer, ast.FunctionDef)  # noqa: S101
        outer.body = [found]
        inner = [outer]
    module = ast.fix_missing_locations(ast.Module(inner, []))
    flags = original.__code__.co_flags & _FUTURE
    code = compile(module, original.__code__.co_filename, "exec", flags, dont_inherit=True)
    for _ in range(2 if free else 1):
        code = next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name in ("_tm_outer", found.name))
    cells = dict(zip(free, original.__closure__ or (), strict=True))
    made = FunctionType(code, scope, original.__name__, original.__defaults__, tuple(cells[name] for name in code.co_freevars))
    made.__kwdefaults__ = original.__kwdefaults__
    return made


_FUTURE = 0x1000000  # CO_FUTURE_ANNOTATIONS
