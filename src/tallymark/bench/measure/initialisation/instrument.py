"""Makes a benchmark, and the functions of its file, tell of each call, look-up and class definition that they evaluate.

Each such expression calls a recorder instead, which evaluates it: `make(x).run(y)` becomes
`_tm.method(1, _tm.call(0, make, x), "run", y)`. So it does not matter where it stands: in a loop, or a local function.
The functions keep their identity: only their code is replaced, for a while.
"""

from __future__ import annotations

import ast
import linecache
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

_RECORDER = "_tm"
_GUARD = f"try:\n    pass\nexcept (Exception, SystemExit):\n    if not {_RECORDER}.failed():\n        raise\n"
_KEPT = {"super", "locals", "globals", "vars", "dir", "eval", "exec"}  # they look at the frame that calls them


@dataclass(frozen=True)
class Site:
    """Where an expression stands.

    Attributes:
        text: of it; of the statement, if it is all of that.
        line: of the file.
        of_constants: a call is given constants or nothing, a look-up one. What a name in capitals stands for is one, too.
        names_one: a call is given such a name.
    """

    text: str
    line: int
    of_constants: bool = False
    names_one: bool = False


@contextmanager
def instrumented(function: FunctionType, recorder: Any) -> Iterator[list[Site] | None]:
    """Let a function and those of its file call a recorder; give the sites, or None if there is no source to be had."""
    filename = function.__code__.co_filename
    codes, sites = _written(filename, "".join(linecache.getlines(filename)))
    replaced = [(one, one.__code__) for one in _functions(function)]
    try:
        for one, code in replaced:
            new = codes.get(_key(code))
            if new is not None and new.co_freevars == code.co_freevars:
                one.__code__ = new
        function.__globals__[_RECORDER] = recorder
        yield sites if function.__code__ is not replaced[0][1] else None
    finally:
        for one, code in replaced:
            one.__code__ = code


def _functions(function: FunctionType) -> list[FunctionType]:
    """Return a function, and the others that it may know of: of its file, and of its closure."""
    cells: list[Any] = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # empty yet
            continue
    found: dict[int, FunctionType] = {id(function): function}
    for one in [*function.__globals__.values(), *cells]:
        while isinstance(getattr(one, "__wrapped__", None), FunctionType):
            one = one.__wrapped__
        if isinstance(one, FunctionType) and one.__code__.co_filename == function.__code__.co_filename:
            found.setdefault(id(one), one)
    return list(found.values())


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno


@lru_cache(maxsize=1)  # a file has many benchmarks
def _written(filename: str, source: str) -> tuple[dict[tuple[str, int], CodeType], list[Site]]:
    """Return the code that tells, of each function of a file, and the sites that it tells of."""
    writer = _Writer()
    return _codes(filename, source, writer), writer.sites


def _codes(filename: str, source: str, writer: _Writer) -> dict[tuple[str, int], CodeType]:
    try:
        tree = ast.parse(source)
        module = compile(ast.fix_missing_locations(writer.visit(tree)), filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return {}
    found: dict[tuple[str, int], CodeType] = {}
    todo = [module]
    while todo:
        code = todo.pop()
        found.setdefault(_key(code), code)
        todo += [one for one in code.co_consts if isinstance(one, CodeType)]
    return found


def _is_loop(node: ast.For) -> bool:
    return isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Attribute) and node.iter.func.attr == "loop"


class _Writer(ast.NodeTransformer):
    def __init__(self) -> None:
        self.sites: list[Site] = []
        self._texts: dict[int, str] = {}
        self._depth = 0

    def _recorded(
        self, node: ast.expr, method: str, *arguments: ast.expr, keywords: list[ast.keyword] | None = None
    ) -> ast.Call:
        """Return a call of the recorder in the place of a node. Its site must have been added last."""
        function = ast.Attribute(ast.Name(_RECORDER, ast.Load()), method, ast.Load())
        return ast.copy_location(ast.Call(function, list(arguments), keywords or []), node)

    def _site(self, node: ast.expr) -> ast.Constant:
        text = self._texts.pop(id(node), "") or ast.unparse(node).splitlines()[0]
        named = isinstance(node, ast.Call) and any(isinstance(one, ast.Name) for one in node.args)
        self.sites.append(Site(text, node.lineno, _is_of_constants(node), named))
        return ast.Constant(len(self.sites) - 1)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = node.func
        if isinstance(function, ast.Name) and function.id in _KEPT and len(node.args) < 2:
            return self.generic_visit(node)
        site = self._site(node)
        given = [self.visit(one) for one in node.args]
        keywords = [self.visit(one) for one in node.keywords]
        if isinstance(function, ast.Attribute) and not _is_private(function.attr):
            name = ast.Constant(function.attr)
            return self._recorded(node, "method", site, self.visit(function.value), name, *given, keywords=keywords)
        return self._recorded(node, "call", site, self.visit(function), *given, keywords=keywords)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if not isinstance(node.ctx, ast.Load) or _is_private(node.attr):
            return self.generic_visit(node)
        site = self._site(node)
        return self._recorded(node, "attribute", site, self.visit(node.value), ast.Constant(node.attr))

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if len(node.ops) > 1 or not isinstance(node.ops[0], ast.In | ast.NotIn):
            return self.generic_visit(node)
        site = self._site(node)
        item, container = self.visit(node.left), self.visit(node.comparators[0])
        found = self._recorded(node, "contains", site, item, container)
        negated = isinstance(node.ops[0], ast.NotIn)
        return ast.copy_location(ast.UnaryOp(ast.Not(), found), node) if negated else found

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if not isinstance(node.ctx, ast.Load) or any(isinstance(one, ast.Slice) for one in ast.walk(node.slice)):
            return self.generic_visit(node)
        site = self._site(node)
        return self._recorded(node, "item", site, self.visit(node.value), self.visit(node.slice))

    def _statement(self, node: Any) -> ast.AST:
        if node.value is not None:
            self._texts[id(node.value)] = ast.unparse(node).splitlines()[0]
            node.value = self.visit(node.value)
        if isinstance(node, ast.Assign):
            node.targets = [self.visit(one) for one in node.targets]
        return node  # type: ignore[no-any-return]

    visit_Expr = visit_Assign = visit_AnnAssign = visit_Return = _statement  # noqa: N815

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            self._texts[id(item.context_expr)] = f"with {ast.unparse(item)}:"
            made = item.context_expr
            site = self._site(made)
            item.context_expr = self._recorded(made, "managed", site, self.visit(made))
        node.body = [self.visit(one) for one in node.body]
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        if _is_loop(node):  # a repeated call may fail, as what it needs is gone: the next op runs all the same
            (guard,) = ast.parse(
                "try:\n    pass\nexcept (Exception, SystemExit):\n    if not _tm.failed():\n        raise\n"
            ).body
            assert isinstance(guard, ast.Try)  # noqa: S101
            guard.body = [self.visit(one) for one in node.body]
            node.body = [guard]
            return node
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: Any) -> ast.AST:
        if self._depth:
            node.decorator_list = [self._decorator(one, node) for one in node.decorator_list]
        self._depth += 1
        node.body = [self.visit(one) for one in node.body]
        self._depth -= 1
        return node  # type: ignore[no-any-return]

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def _decorator(self, node: ast.expr, function: Any) -> ast.expr:
        if not isinstance(node, ast.Name | ast.Attribute):
            node = self.visit(node)
        self.sites.append(Site(re.sub(r"\n.*", "", f"@{ast.unparse(function.decorator_list[0])}"), node.lineno))
        return self._recorded(node, "decorator", ast.Constant(len(self.sites) - 1), node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if self._depth:
            text = next(line for line in ast.unparse(node).splitlines() if line.startswith("class "))
            self.sites.append(Site(text, node.lineno))
            begun = ast.Name(_RECORDER, ast.Load())
            call = ast.Call(ast.Attribute(begun, "defined", ast.Load()), [ast.Constant(len(self.sites) - 1)], [])
            node.decorator_list.insert(0, ast.copy_location(call, node))
        return node

    def _left(self, node: ast.AST) -> ast.AST:
        return node

    visit_MatchValue = visit_MatchClass = visit_MatchMapping = visit_arg = _left  # noqa: N815


def _is_of_constants(node: ast.expr) -> bool:
    """Return True for a call of constants, or a look-up of one."""
    if isinstance(node, ast.Call):
        return all(map(_is_constant, (*node.args, *[one.value for one in node.keywords])))
    return isinstance(node, ast.Subscript) and _is_constant(node.slice)


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def _is_private(name: str) -> bool:
    return name.startswith("__") and not name.endswith("__")


def tells(function: Callable[..., Any]) -> bool:
    """Return True for a function that is instrumented: what it calls is recorded, too."""
    return isinstance(function, FunctionType) and _RECORDER in function.__code__.co_names
