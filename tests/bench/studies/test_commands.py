"""Every study has options that are shown at once."""

import subprocess
import sys
from pathlib import Path

from bench.studies import STUDIES, commands

ROOT = Path(__file__).parents[3]


def test_every_study_is_a_command():
    for name, question in STUDIES.items():
        assert getattr(commands, name.replace("-", "_")).__doc__ and question


def test_help_of_a_study_loads_nothing_slow():
    """torch and timm take seconds to load, scikit-learn and pandas half a second each."""
    code = (
        "import sys; from bench.cli.app import app\n"
        f"for name in {list(STUDIES)}: app(['study', name, '--help'], standalone_mode=False)\n"
        "slow = [m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'matplotlib') if m in sys.modules]\n"
        "sys.exit(' '.join(slow) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"study {name} [OPTIONS]" in done.stdout for name in STUDIES), done.stdout
