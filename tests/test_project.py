"""The project keeps its word: files agree with each other, and commands that are written down exist."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import seqsmith

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
each_page = pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads(read("pyproject.toml"))["project"]


def requirements(project: dict, *, extras: bool) -> list[Requirement]:
    lists = [project["dependencies"], *(project["optional-dependencies"].values() if extras else ())]
    found = [Requirement(line) for lines in lists for line in lines]
    return [requirement for requirement in found if requirement.name != project["name"]]


def test_constraints_pin_every_direct_dependency_within_its_range(project):
    lines = [line for line in read("constraints.txt").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", line) for line in lines), "exact versions, no local builds"
    pins = {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}
    assert list(pins) == sorted(pins)
    for requirement in requirements(project, extras=True):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_every_import_is_a_declared_dependency(project):
    declared = {canonicalize_name(requirement.name) for requirement in requirements(project, extras=True)}
    installed = packages_distributions()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"seqsmith"}:
                homes = {canonicalize_name(home) for home in installed.get(name, [name])}
                assert homes & declared, f"{path}:{node.lineno} imports {name}, which pyproject.toml does not declare"


def test_the_package_names_what_is_public():
    public: dict = {}
    exec("from seqsmith import *", public)
    assert public.keys() - {"__builtins__"} == {"__version__", "load"}


def test_versions_agree():
    assert f"\nversion: {seqsmith.__version__}\n" in read("CITATION.cff")
    headings = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([], [seqsmith.__version__])


def test_importing_the_package_is_light():
    program = "import sys, seqsmith; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(ROOT / "src")})


@each_page
def test_every_make_command_of_the_pages_is_a_target(page):
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    commands = set(re.findall(r"(?:^|`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE))
    assert commands <= targets


def test_the_readme_has_the_two_commands():
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", read("README.md"), re.MULTILINE | re.DOTALL))
    assert re.search(r"^make demo\b", blocks, re.MULTILINE)
    assert re.search(r"^make test\b", blocks, re.MULTILINE)


@each_page
def test_every_link_between_the_pages_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), f"{page} links to {link}"


def test_every_path_of_the_readme_tree_exists():
    tree = re.search(r"^```\n(src/seqsmith/.*?)^```", read("README.md"), re.MULTILINE | re.DOTALL)
    assert tree
    for line in tree[1].splitlines():
        name = line.split()[0]
        path = ROOT / "src/seqsmith" / name if line.startswith("  ") else ROOT / name
        assert path.is_dir() if name.endswith("/") else path.is_file(), f"the tree names {name}"


def test_contributing_is_short():
    assert len(read("CONTRIBUTING.md").splitlines()) < 60


def test_every_file_that_a_project_owes_is_there():
    for name in ("LICENSE", "SECURITY.md", "src/seqsmith/py.typed", ".ci/run", ".pre-commit-config.yaml"):
        assert (ROOT / name).is_file(), name
    assert "Apache License" in read("LICENSE")
    assert "http" not in read(".pre-commit-config.yaml"), "hooks are local"
