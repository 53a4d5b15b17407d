"""Patch encoders: any timm model by name, with a file, package, hub or no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_data_config
from timm.models import load_state_dict_from_hf
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint

from jsma.encoders.folding import fold_norms
from jsma.encoders.foundation import FOUNDATIONS, ClassAndMean
from jsma.encoders.settings import EncoderSettings
from jsma.encoders.small import OWN_ENCODERS
from jsma.encoders.stages import cut_after
from jsma.encoders.weights import hub_error, load_tensors, package_file, read_tensors, tensors_only
from jsma.errors import EncoderError

__all__ = ["Encoder", "EncoderError", "EncoderSettings", "build_encoder"]

CHUNKS = {"cpu": 32, "cuda": 256}
"""Patches per pass by kind of device: their activations stay in a processor's cache, or fill a GPU."""

STEADY = 16
"""Patches per pass where a feature must not depend on its companions (`Encoder.each`): every pass has this size."""

FILLED = ("cuda",)
"""Kinds of device where chunks are filled up, so that few sizes occur."""


class Encoder(nn.Module):
    """uint8 patches [n, P, P, 3] -> float features [n, dim]; see `EncoderSettings`.

    Trainable encoders given more than `chunk` patches recompute each chunk in the backward pass: what a bag holds
    until then is its pixels and features, not its activations. `fingerprint`: 16 hex digits of name, stage,
    normalisation and initial weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: EncoderSettings, body: nn.Module, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1), persistent=False)
        self.fingerprint = _fingerprint(settings, body, config)
        body.eval()  # no dropout in the probe
        side = config["input_size"][-1] if config.get("fixed_input_size") else 64
        if settings.frozen:
            noise = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
            body = fold_norms(body.requires_grad_(False), (noise - self.mean) / self.std)
        # channels last: twice as fast on CPUs, same values
        self.body = body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.no_grad():
            self.dim = int(self._encode(torch.zeros(1, side, side, 3, dtype=torch.uint8)).shape[1])
        self.train(not settings.frozen)

    @property
    def chunk(self) -> int:
        """Patches per pass, on the device where the encoder is."""
        return self.settings.chunk or CHUNKS.get(self.mean.device.type, CHUNKS["cuda"])

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
        out = self._through_body(patches)
        if isinstance(out, (list, tuple)):
            out = out[-1].mean(dim=(2, 3))
        out = out.to(torch.promote_types(out.dtype, torch.float32))
        out = normalize(out, dim=1) if self.settings.l2_normalise else out
        return _halved(out) if self.settings.precision == "float16" else out

    def _through_body(self, patches: Tensor) -> Any:
        """What the network makes of uint8 patches [n, h, w, 3]: its last stage in a list, or one pooled tensor."""
        x = patches.permute(0, 3, 1, 2).to(self.mean.dtype, memory_format=torch.channels_last).div(255.0)
        try:
            return self.body((x - self.mean) / self.std)
        except AssertionError as error:  # timm's models of one input size say so this way
            got = " x ".join(map(str, patches.shape[1:3]))
            raise EncoderError(
                f"{self.settings.name} does not take patches of {got} px ({error}); "
                "set patch_px to what it takes, often 224"
            ) from error

    def spatial(self, pixels: Tensor) -> Tensor:
        """Make a feature map of each picture: what `forward` would take the mean of.

        Args:
            pixels: uint8 [n, h, w, 3] (RGB).

        Returns:
            float32 [n, dim, h / stride, w / stride], not normalised; stride is that of the encoder's stage, 16 px for
            the default.

        Raises:
            EncoderError: the encoder gives one vector a picture and has no map (stage=null, and transformers).
        """
        out = self._through_body(pixels)
        if not isinstance(out, (list, tuple)) or out[-1].ndim != 4:
            raise EncoderError(
                f"{self.settings.name} has no feature map; set stage to one of its stages (a convolutional model)"
            )
        found = out[-1].to(torch.promote_types(out[-1].dtype, torch.float32))
        return _halved(found) if self.settings.precision == "float16" else found

    def _filled(self, patches: Tensor) -> Tensor:
        """Encode one chunk.

        On a GPU the chunk is filled up to a power of two, and what was added is dropped. Many different numbers of
        patches were slow there (docs/gpu.md), presumably because each of them is planned anew.
        """
        n = len(patches)
        size = min(self.chunk, 1 << (n - 1).bit_length()) if patches.device.type in FILLED else n
        return self._encode(_filled_up(patches, size))[:n]

    def forward(self, patches: Tensor, recompute: bool = False) -> Tensor:
        """Encode patches, RGB uint8 [n, P, P, 3]: features float32 [n, dim].

        recompute: in the backward pass even where there is one chunk only (the caller has more of them).
        """
        if patches.ndim != 4 or patches.shape[-1] != 3 or patches.dtype != torch.uint8:
            got = f"{patches.dtype} {tuple(patches.shape)}"
            raise EncoderError(f"patches are {got}; allowed: uint8 [n, P, P, 3]")
        if len(patches) == 0:
            return torch.zeros(0, self.dim, device=patches.device)
        chunks = patches.split(self.chunk)
        if self.settings.frozen:
            with torch.no_grad():
                return torch.cat([self._filled(c) for c in chunks])
        if (len(chunks) == 1 and not recompute) or not torch.is_grad_enabled():
            return torch.cat([self._filled(c) for c in chunks])
        # nothing in the input needs a gradient, hence the non-reentrant form
        return torch.cat([self._recomputed(c) for c in chunks])

    @torch.no_grad()
    def each(self, patches: Tensor) -> Tensor:
        """As `forward`, but a patch gives the same bits whatever else is in the call; for a frozen encoder.

        Libraries choose other kernels, with other roundings, for other numbers of patches. Here every pass has exactly
        `STEADY` of them (fewer where `chunk` is smaller), filled up with copies of the first: a feature that a broken
        off run computes again is the same. On a GPU chunks are as in `forward`, and the last bits may differ.
        """
        if patches.device.type in FILLED or len(patches) == 0:
            return self(patches)
        size = min(STEADY, self.chunk)
        return torch.cat([self._encode(_filled_up(part, size))[: len(part)] for part in patches.split(size)])

    def _recomputed(self, patches: Tensor) -> Tensor:
        features = checkpoint(self._filled, patches, use_reentrant=False)
        assert isinstance(features, Tensor)
        return features


def _halved(features: Tensor) -> Tensor:
    """`features` rounded to float16, as float32; EncoderError where one is too large for that."""
    rounded = features.half().to(features.dtype)
    if bool((rounded.isinf() & features.isfinite()).any()):
        raise EncoderError(
            f"a feature of {float(features.abs().max()):.3g} is beyond float16, which ends at 65504; set "
            "precision=float32 or l2_normalise=true"
        )
    return rounded


def _filled_up(patches: Tensor, size: int) -> Tensor:
    """`patches` with copies of the first behind them, `size` in all."""
    missing = size - len(patches)
    return patches if missing <= 0 else torch.cat([patches, patches[:1].expand(missing, -1, -1, -1)])


def build_encoder(settings: EncoderSettings, seed: int = 0) -> Encoder:
    """Build an encoder; `seed` fixes its random weights, and the global generator stays as it was.

    EncoderError for an unknown model or stage, missing weights or weights that do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _create(settings)
    own = OWN_ENCODERS.get(settings.name)
    if own is not None:
        if settings.pretrained is not None or settings.stage is not None:
            raise EncoderError(f"{settings.name} has no weights and no stages; set pretrained=null and stage=null")
        return Encoder(settings, model, {"mean": own.mean, "std": own.std})
    if settings.name in FOUNDATIONS:
        return Encoder(settings, model, _foundation_config(settings))
    config = {**resolve_data_config({}, model=model), "fixed_input_size": _fixed_size(settings.name, model)}
    source = settings.pretrained
    if source is not None and source != "hub":
        path = package_file(settings.name) if source == "package" else Path(source)
        load_tensors(model, read_tensors(path), str(path), by_order=source == "package")
    body: nn.Module = model if settings.stage is None else cut_after(settings.name, settings.stage, model)
    return Encoder(settings, body, config)


def _create(settings: EncoderSettings) -> nn.Module:
    name, hub = settings.name, settings.pretrained == "hub"
    if name in OWN_ENCODERS:
        return OWN_ENCODERS[name].build()
    if name in FOUNDATIONS:
        return _foundation(settings)
    from_hub = name.startswith(("hf-hub:", "hf_hub:"))
    if not from_hub and not timm.is_model(name):
        near = timm.list_models(f"*{name[:6]}*")[:3]
        raise EncoderError(
            f"timm has no model {name!r}; near: {', '.join(near) or 'none'}; pathology: {', '.join(FOUNDATIONS)}"
        )
    # a model of one input size takes others by interpolating its position embedding, where timm can do that
    options: dict[str, Any] = {"dynamic_img_size": True} if not from_hub and _fixed_size(name) else {}
    with tensors_only():
        try:
            try:
                return timm.create_model(name, pretrained=hub, num_classes=0, **options)
            except TypeError:
                return timm.create_model(name, pretrained=hub, num_classes=0)
        except Exception as exc:  # whatever the hub's client raises
            if hub or from_hub:
                raise hub_error(name, exc) from exc
            raise EncoderError(f"cannot create {name}: {str(exc).splitlines()[0]}") from exc


def _fixed_size(name: str, model: nn.Module | None = None) -> bool:
    """Whether timm gives the model one input size."""
    config = getattr(model, "pretrained_cfg", None) or timm.get_pretrained_cfg(name)
    found = config.get("fixed_input_size") if isinstance(config, dict) else getattr(config, "fixed_input_size", False)
    return bool(found)


def _foundation(settings: EncoderSettings) -> nn.Module:
    """One of `FOUNDATIONS`, from a file or the hub (tensors only either way), or random."""
    known, source = FOUNDATIONS[settings.name], settings.pretrained
    if settings.stage is not None:
        raise EncoderError(f"{settings.name} has no stages; set stage=null")
    if source == "package":
        raise EncoderError(f"no package carries weights of {settings.name}; set pretrained to a file, 'hub' or null")
    tensors = None if source in (None, "hub") else read_tensors(Path(source))
    if source == "hub":
        try:
            with tensors_only():
                tensors = load_state_dict_from_hf(known.hub, weights_only=True)
        except Exception as exc:  # whatever the hub's client raises
            raise hub_error(known.hub, exc) from exc
    body = known.build()
    if tensors is not None:
        load_tensors(body.model if isinstance(body, ClassAndMean) else body, tensors, str(source))
    return body


def _foundation_config(settings: EncoderSettings) -> dict[str, Any]:
    known = FOUNDATIONS[settings.name]
    size = (3, known.input_px, known.input_px)
    return {"mean": known.mean, "std": known.std, "input_size": size, "fixed_input_size": True}


def _fingerprint(settings: EncoderSettings, body: nn.Module, config: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(
        repr((settings.name, settings.stage, settings.l2_normalise, config["mean"], config["std"])).encode()
    )
    for key, tensor in body.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
