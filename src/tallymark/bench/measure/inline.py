"""Puts a helper function's statements in the place of a call, so that what the helper makes and uses can be told apart.

Only helpers from the benchmark's own file: what a library does within a call is not for the benchmark's author to move.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import re
from types import FunctionType
from typing import Any

from tallymark.bench.measure.steps import Piece, own, split

DEPTH = 3
_UNSUPPORTED = (ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.Global, ast.Nonlocal)


def definition(function: FunctionType) -> ast.FunctionDef | None:
    """Return the source of a function as a tree of its own, or None if it is not to be had."""
    code = function.__code__
    source = "".join(linecache.getlines(code.co_filename))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            lines = [one.lineno for one in node.decorator_list]
            if min([node.lineno, *lines]) == code.co_firstlineno:
                return node
    return None


def inlined(pieces: list[Piece], function: FunctionType, bound: dict[str, Any], depth: int = 0) -> list[Piece]:
    """Return pieces with the calls of simple helpers replaced. What they refer to is added to `bound`."""
    found: list[Piece] = []
    for piece in pieces:
        if piece.body is not None:
            piece.body = inlined(piece.body, function, bound, depth)
        statements = _inlined(piece, function, bound, depth) if depth < DEPTH else None
        last = statements[-1] if statements else piece
        if last.body and last is not piece and found and found[-1].stores <= last.body[0].loads:
            last.body.insert(0, found.pop())  # a coroutine is made for each run
        found += [piece] if statements is None else statements
    return found


def _inlined(piece: Piece, function: FunctionType, bound: dict[str, Any], depth: int) -> list[Piece] | None:
    call = piece.node.value if isinstance(piece.node, ast.Expr | ast.Assign) else None
    if isinstance(call, ast.Call) and ast.unparse(call.func) == "asyncio.run" and len(call.args) == 1 and not call.keywords:
        return _runner(piece, call)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    helper = _known(call.func.id, function, bound)
    if not isinstance(helper, FunctionType) or helper.__code__.co_filename != function.__code__.co_filename:
        return None
    source = definition(helper)
    if source is None or not _is_simple(source, call):
        return None
    prefix = f"_tm_in{len(bound)}_"
    bound[prefix] = None
    given = [*zip([one.arg for one in source.args.args], call.args, strict=False)]
    given += [(str(keyword.arg), keyword.value) for keyword in call.keywords]
    defaults = {one.arg: value for one, value in zip(source.args.args[::-1], source.args.defaults[::-1], strict=False)}
    given += [(name, value) for name, value in defaults.items() if name not in dict(given)]
    if {name for name, _ in given} != {one.arg for one in source.args.args}:
        return None
    local = _locals(source)
    renames = _Renames(prefix, local, helper, bound)
    body = [renames.visit(one) for one in source.body]
    start: list[ast.stmt] = [
        ast.copy_location(ast.Assign([ast.Name(prefix + name, ast.Store())], value), piece.node) for name, value in given
    ]
    pieces = split([*start, *_with_result(body, piece)])
    return inlined([_fixed(one) for one in pieces], function, bound, depth + 1)


def _runner(piece: Piece, call: ast.Call) -> list[Piece]:
    """Return what `asyncio.run(x)` does: it makes an event loop, which a service makes once."""
    made = ast.parse("with asyncio.Runner() as _tm_runner:\n    _tm_runner.run(x)").body[0]
    assert isinstance(made, ast.With)  # noqa: S101
    run = made.body[0]
    assert isinstance(run, ast.Expr)  # noqa: S101
    assert isinstance(run.value, ast.Call)  # noqa: S101
    run.value.args = call.args
    if isinstance(piece.node, ast.Assign):
        made.body = [ast.Assign(piece.node.targets, run.value)]
    for one in ast.walk(made):
        ast.copy_location(one, piece.node)
    return [_fixed(one) for one in split([made])]


def _fixed(piece: Piece) -> Piece:
    ast.fix_missing_locations(piece.node)
    piece.text = re.sub(r"\b_tm_in\d+_", "", piece.text)
    return piece


def _known(name: str, function: FunctionType, bound: dict[str, Any]) -> Any:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    try:
        return bound[name] if name in bound else cells[name].cell_contents if name in cells else function.__globals__.get(name)
    except ValueError:  # the cell is empty
        return None


def _is_simple(source: ast.FunctionDef, call: ast.Call) -> bool:
    arguments = source.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs or source.decorator_list:
        return False
    if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
        return False
    if not all(isinstance(one, ast.Constant) for one in arguments.defaults):
        return False
    last = source.body[-1]
    ends = last if isinstance(last, ast.Return) else None
    if any(one is not ends and isinstance(one, _UNSUPPORTED) for one in own(source.body)):
        return False
    inner = {one.arg for node in source.body for one in ast.walk(node) if isinstance(one, ast.arg)}
    return not inner & _locals(source)  # else a name would mean two things


def _locals(source: ast.FunctionDef) -> set[str]:
    names = {one.arg for one in source.args.args}
    for one in own(source.body):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            names.add(one.id)
        elif isinstance(one, ast.FunctionDef | ast.ClassDef):
            names.add(one.name)
        elif isinstance(one, ast.alias):
            names.add((one.asname or one.name).partition(".")[0])
        elif isinstance(one, ast.ExceptHandler) and one.name:
            names.add(one.name)
    return names


def _with_result(body: list[ast.stmt], piece: Piece) -> list[ast.stmt]:
    """Return a helper's statements, with its result assigned to what the call's result was."""
    last = body[-1]
    result = last.value if isinstance(last, ast.Return) else None
    if isinstance(last, ast.Return):
        body = body[:-1]
    value = result or ast.Constant(None)
    if isinstance(piece.node, ast.Assign):
        return [*body, ast.copy_location(ast.Assign(piece.node.targets, value), last)]
    return [*body, ast.copy_location(ast.Expr(value), last)] if result else body


class _Renames(ast.NodeTransformer):
    """Gives a helper's local names, and what it knows from elsewhere, names that the benchmark does not have."""

    def __init__(self, prefix: str, local: set[str], helper: FunctionType, bound: dict[str, Any]) -> None:
        self._prefix, self._local, self._helper, self._bound = prefix, local, helper, bound

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id in self._local:
            node.id = self._prefix + node.id
        elif node.id not in vars(builtins) and node.id in self._helper.__code__.co_freevars:
            known = _known(node.id, self._helper, {})
            node.id = self._prefix + node.id
            self._bound[node.id] = known
        return node

    def visit_alias(self, node: ast.alias) -> ast.alias:
        if "." not in node.name:
            node.asname = self._prefix + (node.asname or node.name)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._named(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._named(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        return self._named(node)

    def _named(self, node: Any) -> ast.AST:
        if node.name in self._local:
            node.name = self._prefix + node.name
        return self.generic_visit(node)
