"""Settings of one strategy's own, and how they are chosen."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from baselines import STRATEGIES
from bench import cli
from bench.errors import UsageError
from bench.progress import Quiet
from bench.runs.plan import Request, planned
from bench.runs.settings.overrides import assign
from bench.runs.settings.presets import PRESETS
from bench.runs.settings.settings import RunSettings
from bench.runs.settings.strategies import lineage
from bench.runs.trainer import Trainer
from bench.studies import tuning

FAST = ("slides=16", "side0_px=1024", "name=test_resnet", "pretrained=null", "stage=null", "epochs=2", "n_patches=3")


def test_a_setting_of_one_strategy_leaves_the_others_alone():
    _, settings = assign(
        PRESETS["tiny"],
        RunSettings(),
        ("jsma:learning_rate=0.01", "jsma:entropy_weight=0.7", "entropy_weight=0.2", "fixed:mpp=2"),
    )
    own, fixed, other = settings.of("jsma"), settings.of("fixed"), settings.of("random")
    assert own.train.learning_rate == 0.01 and own.strategy.method.entropy_weight == 0.7
    assert fixed.strategy.mpp == 2.0 and fixed.strategy.method.entropy_weight == 0.2
    assert other.train.learning_rate == RunSettings().train.learning_rate and other.strategy.mpp == 0.5
    assert own.view == other.view
    assert own.tuned == other.tuned == {}  # what others have is none of its settings


def full(*assignments):
    base = RunSettings(tuned=PRESETS["full"].tuned)
    return assign(PRESETS["full"], base, assignments)[1]


def bare(settings, name):
    """What is in force for a strategy, without the options that it alone has."""
    found = settings.of(name)
    return replace(found, strategy=replace(found.strategy, options=None))


@pytest.mark.parametrize(
    ("name", "relative"),
    (
        ("search", "fixed"),
        *((name, "jsma") for name in ("factorised", "top", "adaptive")),
        *((name, "jsma") for name in ("shuffled", "shuffled-place", "shuffled-magnification")),
        *((name, "random") for name in ("random-one", "stratified", "stratified-one", "oracle", "candidates")),
        *((name, "exhaustive") for name in ("mean", "max")),
        *((name, "exhaustive-all") for name in ("mean-all", "max-all")),
    ),
)
def test_a_control_has_the_settings_of_what_it_is_set_beside(name, relative):
    assert bare(full(), name) == bare(full(), relative) != bare(full(), "zoom-in")
    # and goes with it where the user changes them, but for what is set for itself
    there = f"{relative}:weight_decay=0.02"
    assert full(there).of(name).train.weight_decay == 0.02
    own = full(there, f"{name}:weight_decay=0.03")
    assert own.of(name).train.weight_decay == 0.03 and own.of(relative).train.weight_decay == 0.02
    assert own.of(name).train.learning_rate == full().of(relative).train.learning_rate


def test_a_method_of_its_own_takes_nobodys_settings():
    for name in ("clam-all", "transmil", "dsmil", "ips", "zoom-in", "zoom-mil", "patch-selection", "overview"):
        assert bare(full(), name) == bare(RunSettings(), "jsma")


def test_the_page_on_strategies_says_who_is_tuned_as_whom():
    page = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text()
    rows = page.split("| tuned as | strategies |\n| --- | --- |\n")[1].split("\n\n")[0].splitlines()
    told = {name: row.split(" | ")[0][2:] for row in rows for name in row.split(" | ")[1][:-2].split(", ")}
    assert told == {name: lineage(name)[1] for name in STRATEGIES if len(lineage(name)) > 1}


def test_what_the_user_sets_goes_before_what_the_preset_has_tuned():
    settings = full("estimator=murthy", "mpp=1")
    for name in STRATEGIES:
        own = settings.of(name).strategy
        assert own.method.estimator == "murthy" and own.mpp == 1.0, name
    assert settings.of("exhaustive").train.learning_rate == 0.01  # the rest stays tuned
    for order in (("estimator=murthy", "jsma:estimator=des-raj"), ("jsma:estimator=des-raj", "estimator=murthy")):
        settings = full(*order)
        assert settings.of("jsma").strategy.method.estimator == "des-raj"
        assert settings.of("fixed").strategy.method.estimator == "murthy"


def test_a_regime_keeps_both(tmp_path):
    config = (*FAST, "estimator=murthy", "jsma:estimator=des-raj")
    request = Request(
        strategies=("jsma",),
        preset="full",
        seeds=1,
        out=tmp_path,
        data=tmp_path / "data",
        assignments=config,
        regime="finetuned",
    )
    settings = planned(request, Quiet())[0].context.settings
    assert [settings.of(name).strategy.method.estimator for name in ("jsma", "top", "fixed")] == [
        "des-raj",
        "des-raj",
        "murthy",
    ]


@pytest.mark.parametrize(
    ("tuned", "words"),
    (
        ({"nobody": {"learning_rate": 0.1}}, "unknown strategy 'nobody'"),
        ({"jsma": {"learning_rte": 0.1}}, "jsma has no setting called 'learning_rte'"),
        ({"jsma": {"overview_mpp": 8.0}}, "jsma: overview_mpp is of the view"),
        ({"fixed": {"estimator": "guess"}}, "guess"),
    ),
)
def test_a_mistake_in_what_is_tuned_is_an_error(tuned, words):
    with pytest.raises((ValueError, UsageError), match=words):
        RunSettings(tuned=tuned)


@pytest.mark.parametrize(
    ("text", "message"),
    (
        ("jsma:patch_size=3", "no setting called 'patch_size'"),
        ("jsma:overview_mpp=8", "overview_mpp is of the view"),  # the view is the same for all
        ("nobody:learning_rate=0.1", "unknown strategy 'nobody'"),
        ("jsma:learning_rate=fast", "learning_rate"),
        ("jsma:n_patches=0", "n_patches"),
    ),
)
def test_a_wrong_setting_of_one_strategy_is_one_clear_line(text, message):
    with pytest.raises(UsageError, match=message):
        assign(PRESETS["tiny"], RunSettings(), (text,))


def test_points_are_all_combinations():
    found = tuning.list_points(["a=1,2", "b=0.5,1,4"])
    assert len(found) == 6 and {"a": "2", "b": "4"} in found
    for text in ("a", "a=", "a=1,,2"):
        with pytest.raises(UsageError, match=f"--grid {text}"):
            tuning.list_points([text])


def test_values_of_any_type_are_written_as_they_were_set():
    assert [tuning.format_value(v) for v in (0.01, 1.0, 8, "top", None)] == ["0.01", "1", "8", "top", "null"]


def test_a_point_is_checked_as_a_setting_and_keeps_its_type():
    settings = tuning.set_point(RunSettings(tuned={"fixed": {"mpp": 1.0}}), PRESETS["tiny"], "jsma", {"n_patches": "8"})
    assert settings.tuned == {"jsma": {"n_patches": 8}} and settings.of("jsma").strategy.method.n_patches == 8
    for point in ({"no_such": "1"}, {"n_patches": "8.5"}, {"n_patches": "0"}):
        with pytest.raises(UsageError, match=next(iter(point))):
            tuning.set_point(RunSettings(), PRESETS["tiny"], "jsma", point)


def test_the_chosen_point_is_the_best_on_validation_and_no_test_slide_is_opened(tmp_path):
    request = Request(
        strategies=("jsma", "random"),
        preset="tiny",
        seeds=1,
        out=tmp_path,
        data=tmp_path / "data",
        assignments=FAST,
    )
    context, opened = planned(request, Quiet())[0].context, set()
    parts = context.dataset.split(0, 5)
    trainer = Trainer(replace(context, open_record=lambda r: opened.add(r.id) or context.open_record(r)))
    preset, base = PRESETS["tiny"], context.settings
    rows = [
        tuning.train_point(trainer, name, tuning.set_point(base, preset, name, {"learning_rate": rate}), 1)
        for name in ("jsma", "random")
        for rate in ("0.003", "0.01")
    ]
    assert opened == {r.id for part in ("train", "val") for r in parts[part]}
    best = tuning.write(rows, tmp_path / "tuning", {"seeds": 1})
    for name in ("jsma", "random"):
        own = [row for row in rows if row["strategy"] == name]
        assert len({row["val_loss"] for row in own}) == 2  # the setting reached the training
        assert best[name] == min(own, key=lambda row: (-row["val_accuracy"], row["val_loss"]))["point"]
    assert json.loads((tmp_path / "tuning.json").read_text())["chosen"] == best
    assert (tmp_path / "tuning.md").read_text().count("**") == 4


def test_accuracy_decides_and_loss_among_equals():
    def row(rate, accuracy, loss):
        return {"strategy": "jsma", "point": {"learning_rate": rate}, "val_accuracy": accuracy, "val_loss": loss}

    assert tuning.choose_points([row(1, 0.8, 0.1), row(2, 0.9, 0.5), row(3, 0.9, 0.4)])["jsma"] == {"learning_rate": 3}


def test_best_epoch_is_the_one_whose_weights_training_keeps():
    curve = [{"val_loss": 3.0, "epoch": 0}, {"val_loss": 1.0, "epoch": 1}, {"val_loss": 2.0, "epoch": 2}]
    assert tuning.best_epoch(curve)["epoch"] == 1


def test_a_chosen_point_is_a_complete_settings_record():
    preset = replace(PRESETS["tiny"], tuned={"jsma": {"learning_rate": 0.01}})
    assert replace(RunSettings(), tuned=preset.tuned).of("jsma").train.learning_rate == 0.01


def test_what_the_preset_has_tuned_is_what_was_chosen():
    record = json.loads((Path(__file__).parents[3] / "results" / "tuning.json").read_text())
    assert PRESETS["full"].seed != record["asked"]["data_seed"]  # chosen on slides that the table does not hold
    later = record["afterwards"]
    for name, point in PRESETS["full"].tuned.items():
        assert point == {**record["chosen"][name], **(later["point"] if name in later["strategies"] else {})}


@pytest.mark.parametrize(
    ("study", "arguments", "words"),
    (
        ("tuning", ("--grid", "no_such=1", "--preset", "tiny"), "no setting called 'no_such'"),
        ("linear-probe", ("--slides", "gone.csv"), "gone.csv"),
        ("hint-by-evidence", ("--hints", "0", "--set", "no_such=1"), "no setting called 'no_such'"),
    ),
)
def test_a_mistake_in_a_study_is_one_line(study, arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["jsma-bench", "study", study, *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr().err
    assert left.value.code == 2 and words in said and said.count("\n") == 1
