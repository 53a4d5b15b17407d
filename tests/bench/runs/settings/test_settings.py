"""Settings check themselves where they are declared: one line with what was got, what is allowed and what is near."""

import ast
import math
import re
from dataclasses import fields, replace

import pytest

from baselines import STRATEGIES
from baselines.contract import StrategySettings
from bench.datasets.generated.demo.settings import DemoSettings
from bench.errors import UsageError
from bench.runs.settings.fields import find, read_value
from bench.runs.settings.overrides import assign, shared_leaves
from bench.runs.settings.presets import PRESETS, Preset
from bench.runs.settings.settings import RunSettings, TrainSettings, option_hints
from bench.runs.settings.strategies import strategy_class
from jsma import JSMASettings
from jsma.encoders.encoder import EncoderSettings
from jsma.metered.view import ViewSettings

CLASSES = (
    ViewSettings,
    JSMASettings,
    EncoderSettings,
    StrategySettings,
    TrainSettings,
    DemoSettings,
    *dict.fromkeys(strategy_class(name).options_class for name in STRATEGIES),
)
ONE_OF_EACH = [*(cls() for cls in CLASSES), Preset(slides=16, seeds=1, epochs=2)]
FIELDS = [
    pytest.param(own, field.name, id=f"{type(own).__name__}.{field.name}")
    for own in ONE_OF_EACH
    for field in fields(own)
    if not hasattr(getattr(own, field.name), "__dataclass_fields__") and field.name not in ("tuned", "options")
]


def refusal(own, name, value):
    """The error of a value, or None where it is taken."""
    try:
        replace(own, **{name: value})
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("own", "name"), FIELDS)
def test_no_setting_takes_what_is_no_value_of_it(own, name):
    old = getattr(own, name)
    # a limit can be reached by no sensible value, and a kind of value is not another kind
    wrong = [math.nan, math.inf, -math.inf, -1, -3.5, 10**12, 1e30, [], {}, b"x", object]
    wrong += ["text"] if not isinstance(old, str) else []
    wrong += [True] if not isinstance(old, bool) else [1]
    for value in wrong:
        line = refusal(own, name, value)
        assert line is not None, value
        assert line.startswith(name) and "allowed: " in line and "\n" not in line, line


@pytest.mark.parametrize(("own", "name"), FIELDS)
def test_the_nearest_value_is_one_that_is_taken(own, name):
    for value in (-1, -3.5, 0, 8.6, 10**12, 1e30, (0.5, 0.5), (2.0, 0.5), (0.0, 1.0), 0.5, "stor", "tops"):
        line = refusal(own, name, value)
        found = re.search("; nearest: (.*)$", line or "")
        if found and ", item" not in line:
            try:
                near = ast.literal_eval(found[1])
            except (ValueError, SyntaxError):
                near = found[1]
            near = tuple(near) if isinstance(near, list) else near
            assert refusal(own, name, near) is None, line


@pytest.mark.parametrize(
    ("text", "line"),
    (
        ("n_patches=0", "n_patches is 0; allowed: a whole number from 1 to 1000000; nearest: 1"),
        ("n_patches=1e9", "n_patches is 1e.09; .*; nearest: 1000000"),
        ("mpps=0.5", r"mpps is 0.5; allowed: a list, such as \[0.5\]"),
        ("mpps=[0.5,0.5]", r"mpps is \[0.5, 0.5\]; .*each once, fine to coarse; nearest: \[0.5\]"),
        ("mpps=[2,0.5]", r"nearest: \[0.5, 2\]"),
        ("mpps=[]", "one magnification or more"),
        ("mpps=[0.5,0]", "mpps, item 2, is 0; .*; nearest: 0.01"),
        ("features=foo", "features is 'foo'; allowed: store, fresh"),
        ("overview_mpp=0", "overview_mpp is 0; .*; nearest: 0.01"),
        ("overview_mpp=1e9", "overview_mpp is 1e.09; .*; nearest: 1000"),
        ("overview_mpp=NaN", "overview_mpp is nan; "),
        ("overview_min_px=2", "overview_min_px is 2; .*; nearest: 5"),
        ("learning_rate=-1", "learning_rate is -1; "),
        ("learning_rate=1e30", "learning_rate is 1e.30; "),
        ("weight_decay=-5", "weight_decay is -5; .*; nearest: 0"),
        ("width=-1", "width is -1; .*; nearest: 1"),
        ("min_tissue=2", "min_tissue is 2; .*; nearest: 1"),
        ("patch_px=100000", "patch_px is 100000; .*; nearest: 4096"),
        ("side0_px=63", "side0_px is 63; .*; nearest: 64"),
        ("variant=architectural", "variant is 'architectural'; .*; nearest: architecture"),
        ("estimator=desraj", "estimator is 'desraj'; .*; nearest: des-raj"),
        ("frozen=no", "frozen is 'no'; allowed: true or false"),
        ("seed=-1", "seed is -1; "),
        ("chunk=0", "chunk is 0; .*, or null; nearest: 1"),
        ("cache=hot", "cache is 'hot'; allowed: warm, cold"),
        ("mpp=2.5", "mpp is 2.5; allowed: one of mpps, 0.5, 1, 2, 4; nearest: 2"),
        ("exhaustive:mpp=2.5", "mpp is 2.5; allowed: one of mpps, 0.5, 1, 2, 4; nearest: 2"),
        ("zoom-mil:mpps=[0.5,1]", "zoom-mil: mpps is of the view, which all strategies share"),
        ("jsma:patch_px=32", "jsma: patch_px is of the view"),
    ),
)
def test_a_wrong_setting_is_one_line_that_repeats_what_was_given(text, line):
    with pytest.raises(UsageError, match=line) as raised:
        assign(PRESETS["tiny"], RunSettings(), (text,))
    assert str(raised.value).startswith(f"--set {text}: ") and len(str(raised.value)) < 300


def test_numbers_take_the_type_of_their_setting_and_names_may_be_digits():
    _, settings = assign(PRESETS["tiny"], RunSettings(), ("mpps=[1,2]", "mpp=2", "name=123", "stage=null", "epochs=3"))
    assert settings.view.mpps == (1.0, 2.0) and isinstance(settings.view.mpps[0], float)
    assert settings.strategy.mpp == 2.0 and settings.encoder.name == "123" and settings.encoder.stage is None


def test_the_view_owns_magnifications_and_patch_size():
    apart = StrategySettings(JSMASettings(mpps=(0.5, 1.0)))
    settings = RunSettings(strategy=apart, view=ViewSettings(mpps=(1.0, 2.0, 8.0), patch_px=48))
    assert settings.of("jsma").strategy.method.mpps == (1.0, 2.0, 8.0)
    _, changed = assign(PRESETS["tiny"], settings, ("mpps=[2,4]", "patch_px=40"))
    assert changed.of("zoom-mil").strategy.method.mpps == changed.view.mpps == (2.0, 4.0)
    assert changed.view.patch_px == 40
    with pytest.raises(UsageError, match="no setting called 'method.mpps'"):
        assign(PRESETS["tiny"], settings, ("method.mpps=[2,4]",))


def test_one_magnification_is_one_of_those_that_are_looked_at():
    settings = RunSettings(view=ViewSettings(mpps=(1.0, 3.0)), tuned={"exhaustive": {"mpp": 2.5}})
    assert settings.of("fixed").strategy.mpp == 1.0 and settings.of("exhaustive").strategy.mpp == 3.0


@pytest.mark.parametrize(
    ("text", "line"),
    (
        ("n_patchez=3", "no setting called 'n_patchez'; nearest: n_patches; `jsma-bench config` shows all"),
        ("train.learning_rte=3", "no setting called 'train.learning_rte'; nearest: train.learning_rate"),
        ("jsma:n_patchez=3", "jsma has no setting called 'n_patchez'; nearest: n_patches"),
        ("jsma:first_look=3", "jsma has no setting called 'first_look'"),
        ("n_patches", "write KEY=VALUE"),
        ("=3", "write KEY=VALUE"),
    ),
)
def test_an_unknown_setting_gets_the_nearest_names(text, line):
    with pytest.raises(UsageError, match=line) as raised:
        assign(PRESETS["tiny"], RunSettings(), (text,))
    assert str(raised.value).startswith(f"--set {text}: ")


def test_a_setting_is_called_by_its_short_name_or_in_full():
    for text in ("n_patches=8", "method.n_patches=8", "strategy.method.n_patches=8"):
        assert assign(PRESETS["tiny"], RunSettings(), (text,))[1].strategy.method.n_patches == 8
    preset, _ = assign(PRESETS["tiny"], RunSettings(), ("generated.slides=20", "side0_px=512"))
    assert (preset.slides, preset.side0_px, preset.epochs) == (20, 512, 2)


OWN = """
from baselines.jsma import Joint
from jsma.checked import Count, checked

@checked
class Options:
    width: Count = 3
    depth: Count = 2

class Mine(Joint):
    name, source, options_class = "mine", "own", Options
"""


def test_an_option_of_ones_own_strategy_is_set_and_checked_as_any_other(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    own = f"{tmp_path / 'mine.py'}:Mine"

    def found(*asked):
        return assign(PRESETS["tiny"], RunSettings(), asked, ("jsma", own))[1]

    assert found("depth=5").of(own).strategy.options.depth == 5
    assert found(f"{own}:depth=5").of(own).strategy.options.depth == 5
    assert found("options.width=7").of(own).strategy.method.width == RunSettings().strategy.method.width
    for text, words in (
        ("width=7", "'width' is each of strategy.method.width and strategy.options.width; give one of them in full"),
        ("depth=0", "depth is 0; allowed: a whole number from 1 to 1000000; nearest: 1"),
        (f"{own}:depth=x", "depth is 'x'"),
        ("zoom_sigma=1", f"none of jsma, {own} has it; an option of zoom-mil: ask for one of them"),
    ):
        with pytest.raises(UsageError) as raised:
            found(text)
        assert words in str(raised.value)


def test_an_option_is_for_those_that_have_it():
    settings = assign(PRESETS["tiny"], RunSettings(), ("heads=2", "ips:heads=8"), ("jsma", "transmil", "ips"))[1]
    heads = {name: settings.of(name).strategy.options.heads for name in ("transmil", "ips")}
    assert heads == {"transmil": 2, "ips": 8} and not vars(settings.of("jsma").strategy.options)
    with pytest.raises(UsageError, match="heads is 0; "):
        assign(PRESETS["tiny"], RunSettings(), ("heads=0",), ("ips",))


def test_no_option_is_called_as_a_setting_of_all():
    known = shared_leaves()
    for name in STRATEGIES:
        for path in option_hints(name):
            assert not find(path[-1], known), (name, path)


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    (
        (".01", float, 0.01),
        ("-.5e-3", float, -0.0005),
        ("+2.", float, 2.0),
        ("1e-3", float, 0.001),
        (".01", str, ".01"),
        ("12", str, "12"),
        ("inf", float, "inf"),
        (".", float, "."),
        ("[1,2]", tuple[float, ...], [1, 2]),
    ),
)
def test_a_text_is_read_as_a_number_where_it_is_one(text, hint, value):
    assert read_value(text, hint) == value
