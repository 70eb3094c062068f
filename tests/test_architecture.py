"""The architecture, as a test: imports point down, files and functions are small, what is dangerous is not used."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "seqsmith"
LAYERS = """
    errors special folder config runtime native batch products,tensors,pieces data text,speech,series
    featurise,featurise_series,featurise_vectors batches,model_folder model objective search train evaluate bundle
    engine predictor,forecaster,mapper serve,export,tune,demo cli
"""
RANK = {name: rank for rank, group in enumerate(LAYERS.split()) for name in group.split(",")}
APART = "textbook"
OF_ANY_MODEL = ("objective", "train", "search", "evaluate")
WITHOUT_TORCH = (
    *(
        "errors",
        "special",
        "folder",
        "config",
        "runtime",
        "data",
        "text",
        "series",
        "evaluate",
        "featurise",
        "model_folder",
    ),
    *("predictor", "demo"),
)

MAX_FILE, MAX_FUNCTION, MAX_TOTAL = 400, 60, 26_300

RUNS_CODE = "it can run code that a file or a user brings"
BANNED_MODULES = dict.fromkeys(
    ("pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "torch.hub"), RUNS_CODE
) | dict.fromkeys(
    ("socket", "ssl", "http", "urllib.request", "urllib3", "requests", "httpx", "aiohttp", "ftplib", "smtplib"),
    "nothing here talks to a network",
)
BANNED_NAMES = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "importlib.import_module"), RUNS_CODE),
    **dict.fromkeys(("torch.load", "torch.jit.load", "torch.distributed.checkpoint", "yaml.load"), RUNS_CODE),
    "hasattr": "a type says what it has",
    "print": "only the command line prints",
    **dict.fromkeys(("os.environ", "os.getenv", "os.putenv"), "only runtime.py reads the environment"),
}
ALLOWED = {
    "print": ("cli",),
    **dict.fromkeys(("os.environ", "os.getenv", "os.putenv"), ("runtime", "__init__")),
    **dict.fromkeys(("socket", "http", "ssl"), ("serve",)),
}

FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text("utf-8"), str(path)) for path in FILES}
each_file = pytest.mark.parametrize("path", FILES, ids=[path.relative_to(ROOT).as_posix() for path in FILES])


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full dotted name) of each import anywhere in the file; `from a import b` gives a.b."""
    package = (ROOT.name, *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, layer) of each import of ours; `seqsmith.__version__` and the like belong to no layer."""
    for line, name in imports(path):
        package, _, rest = name.partition(".")
        if package == ROOT.name and not rest.startswith("__"):
            yield line, rest.split(".")[0]


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@each_file
def test_imports_point_down(path):
    layer = layer_of(path)
    if layer in ("__init__", "__main__", APART):
        return
    assert layer in RANK, f"{layer} has no place in LAYERS"
    for line, target in own_imports(path):
        assert target in RANK, f"{path}:{line} imports {target}, which has no place in LAYERS"
        assert target == layer or RANK[target] < RANK[layer], f"{path}:{line} {layer} must not import {target}"


@each_file
def test_losses_training_search_and_scores_know_no_model(path):
    for line, target in own_imports(path) if layer_of(path) in OF_ANY_MODEL else ():
        assert target != "model", f"{path}:{line} imports model, which it must take as a function"


@each_file
def test_the_textbook_stands_apart_and_imports_torch_alone(path):
    if layer_of(path) == APART:
        strangers = {name.split(".")[0] for _, name in imports(path)} - sys.stdlib_module_names - {"torch"}
        assert not strangers, f"{path} imports {strangers}"
    else:
        assert all(target != APART for _, target in own_imports(path)), f"{path} imports the textbook"


def test_what_needs_no_tensors_does_not_import_torch():
    """By importing it all, for a module may bring torch in by way of another."""
    parts = [path.relative_to(ROOT.parent).with_suffix("").parts for path in FILES if layer_of(path) in WITHOUT_TORCH]
    modules = [ROOT.name, *(".".join(part).removesuffix(".__init__") for part in parts)]
    program = f"import sys; sys.path.insert(0, {str(ROOT.parent)!r})\n" + "".join(
        f"import {module}\nassert 'torch' not in sys.modules, 'torch comes with {module}'\n" for module in modules
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@each_file
def test_a_file_is_small_and_says_what_it_is(path):
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= MAX_FILE, f"{path} has {lines} lines; the limit is {MAX_FILE}: split it by purpose"
    assert ast.get_docstring(TREES[path]), f"{path} has no module docstring"


@each_file
def test_a_function_fits_on_a_screen(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or 0) - node.lineno + 1
            assert size <= MAX_FUNCTION, f"{path}:{node.lineno} {node.name} has {size} lines"


def test_the_product_stays_small():
    total = sum(len(path.read_text("utf-8").splitlines()) for path in FILES)
    assert total <= MAX_TOTAL, f"{total} lines; the budget is {MAX_TOTAL}: delete before you add"


@each_file
def test_nothing_dangerous_is_imported(path):
    for line, name in imports(path):
        for banned, reason in (BANNED_MODULES | BANNED_NAMES).items():
            if layer_of(path) not in ALLOWED.get(banned, ()):
                assert not f"{name}.".startswith(f"{banned}."), f"{path}:{line} imports {name}: {reason}"


@each_file
def test_nothing_dangerous_is_used(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Attribute | ast.Name):
            name = dotted(node)
            reason = "" if layer_of(path) in ALLOWED.get(name, ()) else BANNED_NAMES.get(name, "")
            assert not reason, f"{path}:{node.lineno} uses {name}: {reason}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            harmless = isinstance(node.value, ast.Constant) and node.value.value is False
            assert harmless, f"{path}:{node.value.lineno} allows pickle: {RUNS_CODE}"
