"""Imports run one way: jsma <- baselines <- bench; decoding never loads torch; files stay readable."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("jsma", "baselines", "bench")
ORDER = (("",), ("datasets",), ("runs",), ("analysis", "checks"), ("report",), ("studies",), ("cli",))
"""Rooms of `bench`, lowest first; "" is the ground files. Rooms of one rank do not import each other."""
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


def only_for_types(tree: ast.Module) -> set[ast.AST]:
    """Nodes under `if TYPE_CHECKING`, which are never run."""
    guards = (n for n in ast.walk(tree) if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING")
    return {inner for guard in guards for inner in ast.walk(guard)}


def imports_of(path: Path) -> set[str]:
    """Dotted names that a file imports when it is loaded or run; imports inside functions count too."""
    tree = ast.parse(path.read_text())
    unused, found = only_for_types(tree), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and node not in unused:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and node not in unused:
            found |= {own if (own := f"{node.module}.{a.name}") in MODULES else node.module for a in node.names}
    return found


def imported(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANK else ""


def upward(module: str, names: set[str]) -> list[str]:
    """Imports of a module of `bench` that do not run from a room to one below it."""
    room = room_of(module)
    own = {name for name in names if name.startswith("bench.") and room_of(name) != room}
    return sorted(name for name in own if RANK[room_of(name)] >= RANK[room])


@pytest.mark.parametrize("package", ("jsma", "baselines"))
def test_imports_run_one_way(package):
    above = set(PACKAGES[PACKAGES.index(package) + 1 :])
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert not imported(path) & above, path


def test_a_room_imports_only_rooms_below_it():
    assert upward("bench.runs.plan", {"bench.cli.app", "bench.analysis.rows", "bench.datasets"}) == [
        "bench.analysis.rows",
        "bench.cli.app",
    ]
    assert upward("bench.analysis.rows", {"bench.checks.contract.checks"})
    assert not upward("bench.runs.x", {"bench.files"})
    for module, path in MODULES.items():
        if module.startswith("bench."):
            assert not upward(module, imports_of(path)), module


def test_every_room_has_a_rank_and_says_what_it_is():
    rooms = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    assert rooms == set(RANK) - {""}
    for path in MODULES.values():
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), path


def test_no_circle_of_files():
    graph = {module: (imports_of(path) & set(MODULES)) - {module} for module, path in MODULES.items()}
    TopologicalSorter(graph).prepare()  # CycleError names the circle
    with pytest.raises(CycleError):
        TopologicalSorter({**graph, "bench.errors": {"bench.cli.app"}}).prepare()


def test_measuring_process_runs_on_any_revision():
    """It must drive the jsma and baselines of another revision, so nothing of this one's bench may come with it."""
    files = list((ROOT / "bench/checks/speed/gauge").glob("*.py"))
    assert files and not any("bench" in imported(path) for path in files)


def test_decoding_process_never_loads_torch():
    code = "import sys, jsma.slides.process.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "modules",
    (
        "bench.cli",
        "bench.analysis.rows",
        "bench.report.comparison",
        "bench.report.page.build",
        "bench.datasets",
    ),
)
def test_what_runs_no_model_never_loads_torch(modules):
    """`--help`, `compare`, `report` and the datasets answer at once: torch and timm take seconds to load."""
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_command_line_loads_nothing_slow():
    """Every command waits for it, `--help` too: scikit-learn alone takes a second."""
    slow = ("torch", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib", "shapely")
    code = f"import sys, bench.cli.app; sys.exit(' '.join(m for m in {slow} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_and_a_mistake_load_no_torch(tmp_path):
    code = (
        "import sys, atexit, os; from bench.cli import main\n"
        "atexit.register(lambda: os._exit(99) if 'torch' in sys.modules else None)\n"
        "sys.argv[1:] = {!r}; main()"
    )
    for arguments, expected in ((["--help"], 0), (["compare", "no-such-folder"], 2)):
        done = subprocess.run([sys.executable, "-c", code.format(arguments)], cwd=ROOT, capture_output=True)
        assert done.returncode == expected, done.stderr


def test_files_stay_short():
    for folder in (*PACKAGES, "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 300, path
