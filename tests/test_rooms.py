"""Every room says what it is and hands on names that say what they take, in the same words everywhere."""

import importlib
import inspect
import re
from dataclasses import is_dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for package in ("jsma", "baselines", "bench")
    for path in (ROOT / package).rglob("__init__.py")
)
FEW = 3
"""Arguments from which on a function says each of them under `Args:`; fewer may be in the text."""


def handed_on(room: str) -> dict[str, object]:
    module = importlib.import_module(room)
    return {name: getattr(module, name) for name in getattr(module, "__all__", ())}


def unsaid(name: str, thing: object) -> str:
    """What the docstring of a function or class lacks; "" for one that says all."""
    if not (inspect.isfunction(thing) or inspect.isclass(thing)):
        return ""
    text = inspect.getdoc(thing) or ""
    if not text or text.startswith(f"{name}("):
        return "no docstring"
    if not text.splitlines()[0].endswith((".", "?", ":")):
        return f"its first line does not end a sentence: {text.splitlines()[0]!r}"
    if is_dataclass(thing) or inspect.isclass(thing):
        return ""
    taken = [p for p in inspect.signature(thing).parameters if p not in ("self", "cls")]
    if len(taken) < FEW:
        return ""
    said = set(re.findall(r"^\s+\*{0,2}([\w, ]+?):", text.partition("Args:")[2], re.M))
    named = {word.strip() for words in said for word in words.split(",")}
    return f"no word under Args: on {', '.join(lacking)}" if (lacking := [p for p in taken if p not in named]) else ""


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is(room):
    text = (importlib.import_module(room).__doc__ or "").strip()
    assert text and len(text.splitlines()) <= 12, text


@pytest.mark.parametrize("room", [room for room in ROOMS if room.count(".") < 3])
def test_names_that_a_room_hands_on_say_what_they_take(room):
    found = {name: problem for name, thing in handed_on(room).items() if (problem := unsaid(name, thing))}
    assert not found


def test_what_is_not_said_is_found():
    def bare(first, second, third):
        """It adds."""

    def whole(first, second, third):
        """It adds.

        Args:
            first, second: numbers.
            third: another.
        """

    assert unsaid("bare", bare) == "no word under Args: on first, second, third" and not unsaid("whole", whole)
