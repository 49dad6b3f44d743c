"""Rewrites a benchmark so that its op can be run from any of its statements on, with a mark before each.

A statement that calls a method on the result of a call, such as `Registry().counter("a").inc()`, is split into one for each
call, in the order in which Python evaluates them.
"""

from __future__ import annotations

import ast
import linecache
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from tallymark.bench import allocations

MOST = 48  # steps: each has a slot for its mark


@dataclass(frozen=True)
class Step:
    """A statement, or a call within one: its source text, and the names that it reads and assigns."""

    text: str
    line: int
    loads: frozenset[str]
    stores: frozenset[str]


@dataclass(frozen=True)
class Rewritten:
    """A benchmark that asks a plan, before each op, which step to start from."""

    steps: list[Step]
    function: Callable[..., Any]

    def run(self, plan: Any, params: dict[str, Any]) -> None:
        self.function(_Steps(plan), **params)


class _Steps:
    """The `b` of a rewritten benchmark."""

    bytes_processed = None

    def __init__(self, plan: Any) -> None:
        self._plan = plan

    def loop(self) -> Any:
        return iter(self._plan)

    def failed(self) -> None:
        self._plan.failed = True

    def skip(self, reason: str = "") -> None:
        raise RuntimeError(reason)


def rewrite(function: Callable[..., Any]) -> Rewritten | None:
    """Return a benchmark rewritten, or None if its source is not available or its shape is not supported."""
    if not isinstance(function, FunctionType):
        return None
    found = _definition(function)
    loop = _loop(found) if found else None
    if found is None or loop is None or any(isinstance(one, _ENDS) for one in _own(loop.body)):
        return None
    b = found.args.args[0].arg
    pieces = [piece for statement in loop.body for piece in _split(statement)]
    if len(pieces) > MOST:
        return None
    loop.target = ast.Name("_tm_from", ast.Store())
    guarded = [_guarded(i, piece.node) for i, piece in enumerate(pieces)]
    loop.body = _recovering(b, [*guarded, _mark(len(pieces))])
    found.decorator_list = []
    ast.fix_missing_locations(found)
    steps = [Step(piece.text, piece.line, _names(piece.node, ast.Load), _names(piece.node, ast.Store)) for piece in pieces]
    return Rewritten(steps, _compiled(found, function))


def _definition(function: FunctionType) -> ast.FunctionDef | None:
    code = function.__code__
    source = "".join(linecache.getlines(code.co_filename))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name and node.args.args:
            lines = [one.lineno for one in node.decorator_list]
            if min([node.lineno, *lines]) == code.co_firstlineno:
                return node
    return None


def _loop(function: ast.FunctionDef) -> ast.For | None:
    """Return the loop over `b.loop()`, wherever it stands in the function's own statements."""
    b = function.args.args[0].arg
    for node in _own(function.body):
        if isinstance(node, ast.For) and ast.unparse(node.iter) == f"{b}.loop()" and not node.orelse:
            return node
    return None


_ENDS = (ast.Break, ast.Continue, ast.Return, ast.Yield, ast.YieldFrom, ast.Await)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def _own(nodes: Iterable[ast.AST]) -> Iterable[ast.AST]:
    """Yield nodes and what is in them, without what is in other functions and classes."""
    for node in nodes:
        yield node
        if not isinstance(node, _SCOPES):
            yield from _own(ast.iter_child_nodes(node))


@dataclass
class _Piece:
    node: ast.stmt
    text: str
    line: int


def _split(statement: ast.stmt) -> list[_Piece]:
    """Return a statement as pieces: one for each call whose result another of its calls uses, and one for the rest."""
    text = ast.unparse(statement)
    if isinstance(statement, ast.With) and len(statement.items) == 1 and statement.items[0].optional_vars is None:
        call = statement.items[0].context_expr
        if isinstance(call, ast.Call):
            splitter = _Splitter()
            statement.items[0].context_expr = splitter.visit(call)
            text = f"with {ast.unparse(call)}: ..." if not splitter.pieces else text
            return [*splitter.pieces, _Piece(statement, text.splitlines()[0], statement.lineno)]
    if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) and statement.value is not None:
        splitter = _Splitter()
        text_of_last = text
        statement.value = splitter.last(statement.value)
        return [*splitter.pieces, _Piece(statement, text_of_last, statement.lineno)]
    return [_Piece(statement, text.splitlines()[0] if "\n" in text else text, statement.lineno)]


class _Splitter(ast.NodeTransformer):
    """Takes calls out of an expression, innermost first, as long as nothing that is evaluated before them stays inside."""

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []

    def last(self, node: ast.expr) -> ast.expr:
        """Split the parts of an expression, and keep its own call."""
        if isinstance(node, ast.Call):
            return self._parts(node)
        return self.visit(node)  # type: ignore[no-any-return]

    def _parts(self, node: ast.Call) -> ast.Call:
        if isinstance(node.func, ast.Attribute):
            node.func.value = self.visit(node.func.value)
        if isinstance(node.func, ast.Name | ast.Attribute):
            for i, argument in enumerate(node.args):
                node.args[i] = self.visit(argument)
            for keyword in node.keywords:
                keyword.value = self.visit(keyword.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        text, line = ast.unparse(node), node.lineno
        node = self._parts(node)
        name = f"_tm_{len(self.pieces)}_{line}_{node.col_offset}"
        assign = ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], node), node)
        self.pieces.append(_Piece(assign, text, line))
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        return node  # what is evaluated only sometimes, or later, is not split

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        node.value = self.visit(node.value)
        return node


def _guarded(index: int, node: ast.stmt) -> ast.stmt:
    test = ast.Compare(ast.Name("_tm_from", ast.Load()), [ast.LtE()], [ast.Constant(index)])
    return ast.If(test, [_mark(index), node], [])


def _mark(index: int) -> ast.stmt:
    return ast.Expr(ast.Call(ast.Name("_tm_mark", ast.Load()), [ast.Constant(index)], []))


def _recovering(b: str, body: list[ast.stmt]) -> list[ast.stmt]:
    """Return a body that notes errors: an op that is repeated in part may raise, as what it needs is gone."""
    source = textwrap.dedent(
        f"""
        try:
            pass
        except (Exception, SystemExit):
            if not _tm_from:
                raise
            {b}.failed()
        """
    )
    (guard,) = ast.parse(source).body
    assert isinstance(guard, ast.Try)  # noqa: S101
    guard.body = body
    return [guard]


def _names(node: ast.AST, context: type[ast.expr_context]) -> frozenset[str]:
    return frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, context))


def _compiled(definition: ast.FunctionDef, original: FunctionType) -> Callable[..., Any]:
    """Compile a rewritten function with the globals, the defaults and the closure of the original."""
    free = original.__code__.co_freevars
    inner: list[ast.stmt] = [definition]
    if free:
        outer = ast.parse(f"def _tm_outer({', '.join(free)}): pass").body[0]
        assert isinstance(outer, ast.FunctionDef)  # noqa: S101
        outer.body = [definition]
        inner = [outer]
    module = ast.fix_missing_locations(ast.Module(inner, []))
    code = compile(module, original.__code__.co_filename, "exec")
    for _ in range(2 if free else 1):
        code = next(
            one for one in code.co_consts if isinstance(one, CodeType) and one.co_name in ("_tm_outer", definition.name)
        )
    cells = dict(zip(free, original.__closure__ or (), strict=True))
    scope = {**original.__globals__, "_tm_mark": allocations.mark}
    made = FunctionType(code, scope, original.__name__, original.__defaults__, tuple(cells[name] for name in code.co_freevars))
    made.__kwdefaults__ = original.__kwdefaults__
    return made
