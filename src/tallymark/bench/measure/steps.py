"""The steps of an op: its statements, and the calls within them, with the names that each reads, assigns, and works on.

A statement that calls a method on the result of a call, such as `Registry().counter("a").inc()`, is split into one step for
each call, in the order in which Python evaluates them.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


_SERIAL = itertools.count()


@dataclass(frozen=True)
class Use:
    """A call, an operation or a look-up on what a name refers to, and what it is given."""

    name: str
    called: bool = False  # the object itself is called, not one of its methods
    asks: bool = False  # an item is looked up, or looked for
    constants: tuple[object, ...] = ()
    names: frozenset[str] = frozenset()


@dataclass
class Piece:
    """A part of an op that can be run by itself. One with a body is a `with` statement: the part is its beginning."""

    node: ast.stmt
    text: str
    line: int
    body: list[Piece] | None = None
    loads: frozenset[str] = field(init=False)
    stores: frozenset[str] = field(init=False)
    uses: tuple[Use, ...] = field(init=False)
    in_loop: bool = field(init=False)

    def __post_init__(self) -> None:
        seen = self.head()
        self.loads = frozenset(name for node in seen for name in _loaded(node))
        self.stores = frozenset(name for node in seen for name in _stored(node))
        self.uses = tuple(use for node in seen for use in _uses(node))
        self.in_loop = any(isinstance(one, _LOOPS) for node in seen for one in own([node]))

    def head(self) -> list[ast.AST]:
        """Return the nodes that are this piece's own: not those of its body."""
        if self.body is None or not isinstance(self.node, ast.With):
            return [self.node]
        return list(self.node.items)


def own(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield nodes and what is in them, without what is in other functions and classes."""
    for node in nodes:
        yield node
        if isinstance(node, SCOPES):  # its decorators, bases and defaults are evaluated here
            yield from own([*getattr(node, "decorator_list", ()), *getattr(node, "bases", ())])
        else:
            yield from own(ast.iter_child_nodes(node))


def _loaded(node: ast.AST) -> Iterator[str]:
    return (one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load))


def _stored(node: ast.AST) -> Iterator[str]:
    for one in own([node]):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            yield one.id
        elif isinstance(one, ast.FunctionDef | ast.ClassDef):
            yield one.name
        elif isinstance(one, ast.alias):
            yield (one.asname or one.name).partition(".")[0]


def _uses(node: ast.AST) -> Iterator[Use]:
    for one in own([node]):
        if isinstance(one, ast.Call):
            given = [*one.args, *(keyword.value for keyword in one.keywords)]
            if isinstance(one.func, ast.Name):
                yield _use(one.func, given, called=True)
                if given:  # as a method would be: `render(template, values)`
                    yield _use(given[0], given[1:])
            elif isinstance(one.func, ast.Attribute):
                yield _use(one.func.value, given)
        elif isinstance(one, ast.Subscript):
            yield _use(one.value, [one.slice], asks=True)
        elif isinstance(one, ast.Compare):
            asked = [one.left] if isinstance(one.ops[-1], ast.In | ast.NotIn) else []
            yield _use(one.comparators[-1], asked, asks=True)
        elif isinstance(one, ast.Attribute):
            yield _use(one.value, [])


def _use(target: ast.expr, given: list[ast.expr], called: bool = False, asks: bool = False) -> Use:
    while isinstance(target, ast.Attribute | ast.Subscript):
        target, called = target.value, False
    name = target.id if isinstance(target, ast.Name) else ""
    inside = [one for each in given for one in own([each])]
    constants = tuple(one.value for one in inside if isinstance(one, ast.Constant))
    return Use(name, called, asks, constants, frozenset(one.id for one in inside if isinstance(one, ast.Name)))


def split(statements: Iterable[ast.stmt]) -> list[Piece]:
    """Return statements as pieces: one for each call whose result another part of its statement uses, and one for the rest."""
    return [piece for statement in statements for piece in _split(statement)]


def _split(statement: ast.stmt) -> list[Piece]:
    text = _first_line(statement)
    if isinstance(statement, ast.With):
        return _split_with(statement)
    splitter = _Splitter()
    if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) and statement.value is not None:
        statement.value = splitter.last(statement.value)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):  # keep its result, to compare a repeat's
            kept = ast.Assign([ast.Name(f"_tm_{next(_SERIAL)}", ast.Store())], statement.value)
            statement = ast.fix_missing_locations(ast.copy_location(kept, statement))
    elif isinstance(statement, ast.Assert):
        statement.test = splitter.visit(statement.test)
    return [*splitter.pieces, Piece(statement, text, statement.lineno)]


def _split_with(statement: ast.With) -> list[Piece]:
    """Return a `with` as what its context manager is made of, and one piece whose body has pieces too."""
    first, *others = statement.items
    inner = [ast.copy_location(ast.With(others, statement.body), statement)] if others else statement.body
    splitter = _Splitter()
    made = ast.With([first], [])
    text = f"with {ast.unparse(first)}:"
    first.context_expr = splitter.visit(first.context_expr)
    return [*splitter.pieces, Piece(ast.copy_location(made, statement), text, statement.lineno, split(inner))]


def _first_line(statement: ast.stmt) -> str:
    lines = ast.unparse(statement).splitlines()
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return next(line for line in lines if line.startswith(("def ", "class ")))
    return re.sub(r"^_tm_\d+ = ", "", lines[0])


class _Splitter(ast.NodeTransformer):
    """Takes calls out of an expression, innermost first, as long as nothing that is evaluated before them stays inside."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

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
        name = f"_tm_{next(_SERIAL)}"
        assign = ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], node), node)
        self.pieces.append(Piece(ast.fix_missing_locations(assign), text, line))
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        return node  # what is evaluated only sometimes, or later, is not split

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        node.value = self.visit(node.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        node.value = self.visit(node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        node.left = self.visit(node.left)
        if len(node.comparators) == 1:
            node.comparators[0] = self.visit(node.comparators[0])
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        node.left, node.right = self.visit(node.left), self.visit(node.right)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        node.operand = self.visit(node.operand)
        return node

    def visit_Starred(self, node: ast.Starred) -> ast.expr:
        node.value = self.visit(node.value)
        return node
