import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.encoders.folding import fold_norms

NOISE = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def norms(body):
    return sum(isinstance(m, nn.BatchNorm2d) for m in body.modules())


def shaken(body):
    """Statistics and weights of no identity: what is folded wrongly shows."""
    generator = torch.Generator().manual_seed(1)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.uniform_(-0.5, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data += 1
    return body.double().eval()


@pytest.mark.parametrize("name", ("tf_efficientnet_lite0", "test_resnet", "mobilenetv3_small_050"))
def test_every_normalisation_is_folded_and_the_function_is_the_same(name):
    body = shaken(timm.create_model(name, num_classes=0))
    before = {k: v.clone() for k, v in body.state_dict().items()}
    with torch.no_grad():
        right, found = body(NOISE.double()), fold_norms(body, NOISE.double())
        torch.testing.assert_close(found(NOISE.double()), right, rtol=1e-10, atol=1e-12)
    assert norms(found) == 0 < norms(body)
    assert all(torch.equal(v, before[k]) for k, v in body.state_dict().items())  # what it was given stays


class Crossed(nn.Module):
    """Runs its normalisation before the convolution that it registers first."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.conv(self.norm(x)).mean((2, 3))


class Holding(nn.Module):
    """Asks its normalisation for what a folded one has not."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), BatchNormAct2d(4)

    def forward(self, x):
        return self.norm(self.conv(x)).mean((2, 3)) + self.norm.running_mean


@pytest.mark.parametrize("kind", (Crossed, Holding))
def test_a_network_that_cannot_be_folded_is_left_as_it_is(kind):
    body = shaken(kind())
    assert fold_norms(body, NOISE.double()) is body and norms(body) == 1


def test_frozen_encoders_are_folded_and_give_the_features_of_those_that_are_not():
    patches = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for stage in (None, 3):
        frozen, trained = (build_encoder(EncoderSettings("test_resnet", None, stage, f)) for f in (True, False))
        assert norms(frozen) == 0 < norms(trained) and frozen.fingerprint == trained.fingerprint
        torch.testing.assert_close(frozen(patches), trained(patches), rtol=1e-5, atol=1e-6)
