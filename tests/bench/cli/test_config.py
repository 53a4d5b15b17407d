"""A run that is written down: `config` prints what `run --config` takes back."""

import sys

import pytest
import yaml

from bench.cli.app import app
from bench.cli.exits import ended
from bench.datasets import Dataset, SlideRecord
from bench.errors import UsageError
from bench.runs.plan import settle
from bench.runs.run_key import make_key

RECORDS = tuple(SlideRecord(f"{i}.tif", "ab"[i % 2], split=("train", "val", "test")[i // 4]) for i in range(12))
DATA = Dataset("x", ("a", "b"), RECORDS)


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run a command line in an empty folder: code, stdout, stderr and the requests that would have been run."""
    monkeypatch.chdir(tmp_path)
    asked = []

    def reached(request, *_):
        asked.append(request)
        raise UsageError("reached; no more is tried")

    monkeypatch.setattr("bench.runs.plan.execute", reached)
    monkeypatch.setattr("bench.runs.plan.planned", reached)

    def run(*arguments):
        asked.clear()
        monkeypatch.setattr(sys, "argv", ["jsma-bench", *map(str, arguments)])
        code = ended(app)
        said = capsys.readouterr()
        return code, said.out, said.err, asked[-1] if asked else None

    return run


def names(request):
    """The names of the runs of a request, one for each strategy."""
    settings = settle(request)[1]
    return [make_key(DATA, settings, name, 0, 0).name for name in request.strategies]


@pytest.mark.parametrize(
    "options",
    (
        ("--preset", "full"),
        ("--preset", "tiny", "--set", "mpps=[1,2]", "--set", "patch_px=48", "--set", "slides=20"),
        ("--preset", "full", "--set", "zoom_sigma=0.01", "--set", "jsma:n_patches=4", "--set", "learning_rate=0.02"),
        ("--regime", "finetuned", "--set", "adaptive:confidence=1", "--seeds", "2", "--wait", "3"),
    ),
)
def test_what_config_prints_is_the_same_run(options, command, tmp_path):
    options = ("--strategies", "jsma,adaptive,zoom-mil,exhaustive", *options)
    request = command("run", *options)[3]
    code, out, err, _ = command("config", *options)
    assert code == 0 and not err
    (tmp_path / "run.yaml").write_text(out)
    again = command("run", "--config", "run.yaml")[3]
    assert names(again) == names(request) and settle(again)[0] == settle(request)[0]
    assert (again.strategies, again.regime, again.wait_s) == (request.strategies, request.regime, request.wait_s)
    assert again.seeds == (request.seeds or settle(request)[0].seeds)
    assert command("config", "--config", "run.yaml")[1] == out


def test_config_shows_the_options_of_each_strategy(command):
    found = yaml.safe_load(command("config", "--strategies", "jsma,adaptive,zoom-mil", "--set", "zoom_sigma=0.1")[1])
    assert found["set"]["adaptive"] == {"first_look": 4, "next_look": 4, "confidence": 0.9}
    assert found["set"]["zoom-mil"] == {"zoom_sigma": 0.1, "topk_samples": 500} and "jsma" not in found["set"]


def test_the_command_line_goes_before_the_file(command, tmp_path):
    (tmp_path / "run.yaml").write_text(
        "preset: full\nseeds: 3\nstrategies: [jsma, fixed]\n"
        "set:\n  train: {learning_rate: 1e-2, epochs: 7}\n  jsma: {n_patches: 5}\n  fixed:weight_decay: 0.5\n"
    )
    request = command("run", "--config", "run.yaml")[3]
    assert (request.preset, request.seeds, request.strategies) == ("full", 3, ("jsma", "fixed"))
    settings = settle(request)[1]
    assert settings.of("jsma").strategy.method.n_patches == 5 and settings.train.epochs == 7
    assert settings.of("fixed").train.weight_decay == 0.5 and settings.train.learning_rate == 0.01
    request = command("run", "--config", "run.yaml", "--seeds", "2", "--set", "n_patches=9", "--set", "epochs=8")[3]
    settings = settle(request)[1]
    assert request.seeds == 2 and settings.of("jsma").strategy.method.n_patches == 9
    assert settings.train.epochs == 8 and settings.train.learning_rate == 0.01


def test_a_sweep_reads_the_same_file(command, tmp_path):
    (tmp_path / "run.yaml").write_text("preset: tiny\nbudgets: 2,4\nset: {n_patches: 3}\n")
    request = command("sweep", "--config", "run.yaml", "--strategies", "jsma")[3]
    assert request.preset == "tiny" and settle(request)[1].strategy.method.n_patches == 3


@pytest.mark.parametrize(
    ("text", "words"),
    (
        ("strategy: jsma", "--config run.yaml: unknown key 'strategy'; nearest: strategies; allowed: "),
        ("set: {train: {epoch: 3}}", "--config run.yaml: set.train.epoch: no setting called 'train.epoch'; nearest: "),
        ("set: {jsma: {n_patches: 0}}", "--config run.yaml: set.jsma.n_patches: n_patches is 0; "),
        ("set: {n_patches: many}", "--config run.yaml: set.n_patches: n_patches is 'many'; "),
        ("set: [n_patches]", "--config run.yaml: set is ['n_patches']; "),
        ("train: {epochs: 3}", "unknown key 'train'"),
        ("seeds: {a: 1}", "seeds is a mapping"),
        ("seeds: x", "Invalid value for '--seeds'"),
        ("[1, 2]", "holds no KEY: VALUE"),
        ("a: [", "--config run.yaml: no YAML: "),
        (None, "--config run.yaml: cannot be read"),
    ),
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(text, words, command, tmp_path, monkeypatch):
    if text is not None:
        (tmp_path / "run.yaml").write_text(text)
    monkeypatch.setattr("bench.runs.plan.execute", lambda request, _: settle(request))
    code, _, err, _ = command("run", "--config", "run.yaml")
    lines = [line for line in err.splitlines() if not line.startswith("starting")]
    assert code == 2 and words in err and (len(lines) == 1 or "Usage" in err), err
