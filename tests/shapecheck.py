"""Proves the suffixes of tensor names at run time: `x_BTD` must have 3 axes, and B, T, D one size each per call.

A letter is bound by the first name that carries it and holds for one call of one function. A digit is a literal size:
the second axis of `keep_B1TS` is 1. The names are a function's locals, arguments included, as they stand when it is
left, and the fields of a dataclass when it is made.

The check is written into the package's functions as they are imported, like pytest's words into assertions: `install`
comes before the first import. (A profiler, which is called for every function of every library, took as long as the
tests.)
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType

_SUFFIX = re.compile(r"[a-z][a-z0-9_]*_(1*[A-Z][A-Z0-9]*)")
_failures: list[list["ShapeError"]] = []  # of each `watch` that is open


class ShapeError(AssertionError):
    """A name promises other axes than its array has."""


@cache
def axes_of(name: str) -> str | None:
    """What a name promises: "BTD" of x_BTD."""
    match = _SUFFIX.fullmatch(name)
    return match and match[1]


def check(values: Mapping[str, object], where: str) -> None:
    """Raise ShapeError unless every suffixed array in `values` agrees with its name and with the others."""
    bound: dict[str, tuple[int, str]] = {}
    for name, value in values.items():
        axes, shape = axes_of(name), getattr(value, "shape", None)
        if axes is None or shape is None:
            continue
        shape = tuple(shape)
        if len(axes) != len(shape):
            raise ShapeError(f"{where}: {name} promises {len(axes)} axes ({axes}) but has shape {shape}")
        for axis, size in zip(axes, shape, strict=True):
            expected, owner = (int(axis), name) if axis.isdigit() else bound.setdefault(axis, (size, name))
            if size != expected:
                raise ShapeError(f"{where}: {axis} is {expected} in {owner} but {size} in {name}, shape {shape}")


@contextmanager
def watch() -> Iterator[None]:
    """Check every function with suffixed names that is left; raise the first ShapeError at the end."""
    _failures.append([])
    try:
        yield
    finally:
        found = _failures.pop()
    if found:
        raise found[0]


def leave(values: Mapping[str, object], where: str) -> None:
    """What functions call when they are left. An error raised in there would be mistaken for theirs."""
    if _failures:
        try:
            check(values, where)
        except ShapeError as error:
            _failures[-1].append(error)


class _Writer(ast.NodeTransformer):
    """Writes the check into each function and dataclass that has suffixed names."""

    def __init__(self, module: str):
        self.scope = [module]

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        first = next((i for i, part in enumerate(node.body) if not _must_be_first(part)), len(node.body))
        node.body[first:first] = ast.parse("import shapecheck as _shapecheck").body
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.scope.append(node.name)
        self.generic_visit(node)
        fields = [part.target.id for part in node.body if _is_field(part)]
        if any(map(axes_of, fields)) and any("dataclass" in ast.unparse(each) for each in node.decorator_list):
            assert all(getattr(part, "name", "") != "__post_init__" for part in node.body), "write both into one"
            node.body += ast.parse(f"def __post_init__(self): {self._call('vars(self)', node)}").body
        self.scope.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.scope.append(node.name)
        self.generic_visit(node)
        if any(map(axes_of, _names(ast.walk(node)))):
            told = ast.get_docstring(node) is not None
            left = ast.Try(node.body[told:] or [ast.Pass()], [], [], ast.parse(self._call("locals()", node)).body)
            node.body = [*node.body[:told], left]
        self.scope.pop()
        return node

    def _call(self, values: str, node: ast.ClassDef | ast.FunctionDef) -> str:
        where = f"{'.'.join(self.scope)}:{node.lineno}"
        return f"_shapecheck.leave({values}, {where!r})"


def _must_be_first(part: ast.stmt) -> bool:
    """Whether it is a docstring or an import from __future__."""
    return isinstance(part, ast.Expr) or (isinstance(part, ast.ImportFrom) and part.module == "__future__")


def _is_field(part: ast.stmt) -> bool:
    return isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def checked(source: str, module: str, path: str) -> CodeType:
    """The code of a module with the check in it."""
    tree = _Writer(module).visit(ast.parse(source, path))
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:  # nothing of it is kept on the disk
        source = self.get_source(fullname)
        assert source is not None
        return checked(source, fullname, self.path)


class _Finder:
    def __init__(self, package: str):
        self.package = package

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname.split(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


def install(package: str) -> None:
    """From here on modules of the package are imported with the check in them."""
    assert package not in sys.modules, f"{package} was imported before its checker"
    sys.meta_path.insert(0, _Finder(package))
