"""A failure while a strategy looks at slides: of one slide, which is dropped, or of the strategy, which is named."""

import types
from typing import Any

import pytest
import torch
from torch import nn

from baselines.contract import Outcome, Strategy, StrategySettings, ask
from bench.errors import UsageError, listed
from bench.runs.failing import ask_without, require_classes
from bench.runs.settings.settings import TrainSettings
from bench.runs.settings.strategies import one_of_each, strategy_class
from bench.runs.train import Labelled, Schedule, train
from jsma import JSMASettings
from jsma.errors import ContractError
from jsma.meter import Meter
from jsma.slides import SlideError


def stand_in(id) -> Any:
    """What the contract asks of a slide."""
    grid = types.SimpleNamespace(n_cells=100)
    return types.SimpleNamespace(id=id, last_looked="", view=types.SimpleNamespace(grid=grid))


class Says(Strategy):
    """What it is told to."""

    name, source = "says", "this test"

    def __init__(self, say, **flags):
        super().__init__(StrategySettings(JSMASettings(n_patches=4)), 4, 2, Meter())
        self.weight, self.say, self.asked = nn.Parameter(torch.zeros(2)), say, []
        for name, value in flags.items():
            setattr(self, name, value)

    def forward(self, slides, generator):
        self.asked.append([slide.id for slide in slides])
        return self.say(slides, generator)


def each(outcome):
    return lambda slides, generator: [outcome() for _ in slides]


def fine(slides, generator):
    return [Outcome(torch.rand(2, generator=generator), cells=torch.arange(4)) for _ in slides]


def leave(slides, generator):
    raise SystemExit(0)


BAD = {
    "0 outcomes for [12] slides": lambda slides, generator: [],
    "returned NoneType": lambda slides, generator: None,
    "returned list": lambda slides, generator: [torch.zeros(2) for _ in slides],
    r"logits are \[nan, 0.0\]": each(lambda: Outcome(torch.tensor([torch.nan, 0.0]))),
    r"logits are \[inf, 0.0\]": each(lambda: Outcome(torch.tensor([torch.inf, 0.0]))),
    r"logits are \[3\]": each(lambda: Outcome(torch.zeros(3))),
    r"logits are \[1, 2\]": each(lambda: Outcome(torch.zeros(1, 2))),
    "logits are list": each(lambda: Outcome([0.0, 1.0])),  # pyright: ignore[reportArgumentType]
    r"outcome.cells are 0..100; allowed: 0..99": each(lambda: Outcome(torch.zeros(2), cells=torch.tensor([0, 100]))),
    r"outcome.cells are -1..3": each(lambda: Outcome(torch.zeros(2), cells=torch.tensor([3, -1]))),
    "outcome.cells is no list": each(lambda: Outcome(torch.zeros(2), cells=torch.ones(100) > 0)),
    "read 5 patches of a slide in training": each(lambda: Outcome(torch.zeros(2), cells=torch.zeros(5).long())),
    "SystemExit: 0": leave,
    "ZeroDivisionError: division by zero": lambda slides, generator: 1 / 0,
}


@pytest.mark.parametrize("words", BAD)
def test_a_broken_contract_names_strategy_slide_and_what_checks_it(words):
    with pytest.raises(ContractError, match=words) as found:
        ask(Says(BAD[words]), [stand_in("a.tif")], torch.Generator())
    said = str(found.value)
    assert said.startswith("strategy 'says', slide a.tif: ") and "\n" not in said
    assert said.endswith("test_failing.py:Says` says more") and "`jsma-bench check " in said
    dropped = {}
    with pytest.raises(ContractError, match=words):  # nor is a slide dropped for it
        ask_without(Says(BAD[words]), [stand_in("a.tif"), stand_in("b.tif")], torch.Generator(), dropped)
    assert dropped == {}


def test_what_is_declared_and_what_is_proper_passes():
    many = each(lambda: Outcome(torch.zeros(2), cells=torch.zeros(5).long()))
    assert len(ask(Says(many, bounded=False), [stand_in("a")] * 3, torch.Generator())) == 3
    assert ask(Says(many, trains_within_budget=False), [stand_in("a")], torch.Generator())
    with pytest.raises(ContractError, match="at most|in test"):
        ask(Says(many, trains_within_budget=False).eval(), [stand_in("a")], torch.Generator())
    with pytest.raises(KeyboardInterrupt):
        ask(Says(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)), [stand_in("a")], torch.Generator())


def breaking(kind, *broken):
    def say(slides, generator):
        outcomes = fine(slides, generator)
        if any(slide.id in broken for slide in slides):
            raise kind("overview is (1, 3, 1, 1); allowed: [b, 3, h >= 5, w >= 5]")
        return outcomes

    return say


@pytest.mark.parametrize("kind", (SlideError, OSError, ValueError))
def test_a_failure_that_names_no_slide_is_that_of_the_one_that_fails_alone(kind):
    slides, dropped = [stand_in(name) for name in "abcd"], {}
    generator = torch.Generator().manual_seed(1)
    outcomes = ask_without(Says(breaking(kind, "b", "d")), slides, generator, dropped)
    assert set(dropped) == {"b", "d"} and all("h >= 5" in why for why in dropped.values())
    twin = torch.Generator().manual_seed(1)  # the draws are those of a batch without them
    for got, wanted in zip(outcomes, fine([slides[0], slides[2]], twin), strict=True):
        assert torch.equal(got.logits, wanted.logits)
    assert torch.equal(generator.get_state(), twin.get_state())


def test_the_slide_that_was_looked_at_last_is_tried_first_and_one_that_is_named_not_at_all():
    slides = [stand_in(name) for name in "abcd"]
    strategy = Says(breaking(SlideError, "c"))
    slides[0].last_looked = "c"
    assert len(ask_without(strategy, slides, torch.Generator(), {})) == 3
    assert strategy.asked == [list("abcd"), ["c"], list("abd")]

    def says_which(asked, generator):
        if any(slide.id == "c" for slide in asked):
            error = SlideError("broken")
            error.slide_id = "c"
            raise error
        return fine(asked, generator)

    strategy = Says(says_which)
    assert len(ask_without(strategy, slides, torch.Generator(), {})) == 3
    assert strategy.asked == [list("abcd"), list("abd")]


def test_a_value_error_of_every_slide_is_the_strategys():
    dropped = {}
    with pytest.raises(ContractError, match="slide a and 2 more: ValueError: overview"):
        ask_without(Says(breaking(ValueError, *"abc")), [stand_in(name) for name in "abc"], torch.Generator(), dropped)
    assert dropped == {}
    assert (
        ask_without(Says(breaking(SlideError, *"abc")), [stand_in(name) for name in "abc"], torch.Generator(), dropped)
        == []
        and len(dropped) == 3
    )


def test_training_needs_slides_of_two_classes():
    labels, why = {"a": 0, "b": 0, "c": 1}, "no tissue; lower min_tissue"
    require_classes("training", labels, {"a": why, "elsewhere": why})
    require_classes("training", {"a": 0, "b": 0}, {})
    with pytest.raises(UsageError, match="one class only are left: 1 failed: c: no tissue; lower min_tissue"):
        require_classes("training", labels, {"c": why})
    with pytest.raises(UsageError, match="no slide of the training part .*: 3 failed: a: no tissue"):
        require_classes("training", labels, dict.fromkeys(labels, why))
    require_classes("validation", labels, {"c": why})
    assert listed({"/x/a.tif": "/x/a.tif: broken"}) == "1 failed: /x/a.tif: broken"


OWN = """
from baselines.contract import Strategy
class {cls}(Strategy):
    name, source = {name!r}, "here"
    def forward(self, slides, generator):
        return []
"""


def test_a_strategy_of_ones_own_has_a_name_of_its_own(tmp_path):
    files = {"one": "mine", "two": "mine", "taken": "jsma", "odd": "a/b"}
    for stem, name in files.items():
        (tmp_path / f"{stem}.py").write_text(OWN.format(cls="Own", name=name))
    own = {stem: f"{tmp_path / stem}.py:Own" for stem in files}
    one_of_each([own["one"], own["one"], "jsma", "baselines.fixed:Fixed"])
    assert strategy_class("baselines.jsma:Joint").name == "jsma"
    with pytest.raises(UsageError, match="this project has a strategy called 'jsma'; give the class another"):
        strategy_class(own["taken"])
    with pytest.raises(UsageError, match="its `name` is 'a/b'; allowed: letters"):
        strategy_class(own["odd"])
    for pair in ((own["one"], own["two"]), ("jsma", "baselines.jsma:Joint")):
        with pytest.raises(UsageError, match="are both called"):
            one_of_each(pair)


RAISING = ("import sys; sys.exit()", "raise KeyError('x')", "class Odd(BaseException): ...\nraise Odd")


@pytest.mark.parametrize("line", RAISING)
def test_whatever_a_file_raises_when_it_is_imported_is_told(line, tmp_path):
    (tmp_path / "leaves.py").write_text(line)
    with pytest.raises(UsageError, match="leaves.py:Own: cannot be imported .(SystemExit|KeyError|Odd)"):
        strategy_class(f"{tmp_path / 'leaves.py'}:Own")


class Wild(Says):
    """Its loss grows with its weights; or, with `root`, the first step makes them nan, and nothing can be drawn."""

    def __init__(self, root):
        super().__init__(None, root=root)

    def forward(self, slides, generator):
        if not bool(torch.isfinite(self.weight).all()):
            raise ValueError("cannot draw n=4 of 0 cells with mass; both must be at least 1")
        penalty = (self.weight * 0).sqrt().sum() if self.root else None
        return [Outcome(self.weight * 1e6, penalty) for _ in slides]


@pytest.mark.parametrize("root", (True, False))
@pytest.mark.parametrize("batch", (1, 4))
def test_a_training_that_diverges_says_where_and_what_to_lower(root, batch):
    desk: Any = types.SimpleNamespace(device=torch.device("cpu"), encoder=nn.Identity(), meter=Meter(), store=None)
    items = [Labelled(stand_in(str(i)), int(i == 3)) for i in range(4)]
    settings = TrainSettings(epochs=5, batch=batch, learning_rate=10.0)
    words = (
        r"training of says diverged in epoch [12] of 5: loss [0-9.e+]+, weights up to [0-9.e+na]+; "
        r"lower learning_rate \(now 10\)$"
    )
    with pytest.raises(UsageError, match=words):
        train(
            lambda chosen, meter: Wild(root),
            [StrategySettings()],
            {"train": items, "val": items},
            desk,
            Schedule(settings),
        )
