"""Takes annotations, and what only type checkers import, out of stayon's own source: nothing of stayon reads them.

Only the *names* that a class annotates stay: they are the fields of ``core.record``. Runs in the interpreter that
compiles (``worker``): the standard library is all it has.
"""

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def unannotated(source: bytes, path: str) -> ast.Module:
    """The tree of *source* without them. Raises ``SyntaxError``."""
    tree: ast.Module = _Cutter().visit(ast.parse(source, path))
    return ast.fix_missing_locations(tree)


class _Cutter(ast.NodeTransformer):
    def __init__(self) -> None:
        self.in_class = False

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return self._inside(node, in_class=True)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        return self._inside(node, in_class=False)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        node.returns = None
        return self._inside(node, in_class=False)

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if self.in_class:
            node.annotation = ast.Constant(None)
            return node
        if node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], node.value)

    def visit_If(self, node: ast.If) -> Any:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and not node.orelse:
            return ast.Pass()
        return self.generic_visit(node)

    def _inside(self, node: ast.AST, *, in_class: bool) -> ast.AST:
        before, self.in_class = self.in_class, in_class
        try:
            return self.generic_visit(node)
        finally:
            self.in_class = before
