"""The house: no module imports itself by way of others, the science knows nothing of orchestration, and no floor has more rooms than one can remember."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("ltm", "sweeps", "analysis")
MOST = 9
"""Modules on one floor, but in the libraries of like things."""

LIBRARIES = ("ltm/cells", "ltm/data")
ENTRIES = ("ltm", "ltm.__main__", "ltm.sweep", "ltm.train", "ltm.trained", "ltm.door")
"""Modules of ``ltm`` that may import the packages above it."""


def modules() -> dict[str, Path]:
    """Every module by its name."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """The modules that a module imports, at its top or within its functions; what is for the type checker alone does not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from (found for found in [name if name in known else node.module] if found in known)
        else:
            yield from imports(node, known)


def graph() -> dict[str, set[str]]:
    found = modules()
    return {name: set(imports(ast.parse(path.read_text()), set(found))) - {name} for name, path in found.items()}


def circle(edges: dict[str, set[str]]) -> list[str]:
    """A way from a module back to it; empty where there is none."""
    over: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in over:
            return []
        found = next((found for other in sorted(edges[name]) if (found := walk(other, [*way, name]))), [])
        over.add(name)
        return found

    return next((found for name in edges if (found := walk(name, []))), [])


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle(graph()) == []


def test_the_science_imports_nothing_of_orchestration_or_analysis() -> None:
    above = {name: {other for other in others if not other.startswith("ltm")} for name, others in graph().items() if name.startswith("ltm")}
    assert {name: others for name, others in above.items() if others and name not in ENTRIES} == {}


def test_no_floor_has_more_modules_than_one_can_remember() -> None:
    floors: dict[str, int] = {}
    for path in modules().values():
        if not path.stem.startswith("__"):
            floors[str(path.parent.relative_to(ROOT))] = floors.get(str(path.parent.relative_to(ROOT)), 0) + 1
    assert {floor: count for floor, count in floors.items() if count > MOST and floor not in LIBRARIES} == {}
