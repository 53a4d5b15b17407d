"""Which store of features serves an encoder: one for a frozen encoder, none where features are to be fresh."""

from dataclasses import replace

import pytest

from bench.runs.settings.settings import RunSettings, TrainSettings
from bench.runs.stores import FeatureStores
from jsma.encoders.encoder import EncoderSettings, build_encoder

FROZEN = RunSettings(encoder=EncoderSettings("test_resnet", pretrained=None))
TRAINED = RunSettings(encoder=EncoderSettings("test_resnet", pretrained=None, frozen=False))


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(FROZEN.encoder, seed=0)


def test_all_that_use_a_frozen_encoder_share_one_store(encoder):
    stores = FeatureStores()
    first = stores.for_training(encoder, FROZEN)
    assert first is not None and first.dim == encoder.dim
    assert stores.for_training(build_encoder(FROZEN.encoder, seed=0), FROZEN) is first
    assert stores.for_sweep(encoder, FROZEN) is first
    other = stores.for_training(build_encoder(FROZEN.encoder, seed=1), FROZEN)
    assert other is not None and other is not first


def test_fresh_features_and_a_trained_encoder_have_no_store_in_training(encoder):
    fresh = replace(FROZEN, train=TrainSettings(features="fresh"))
    assert FeatureStores().for_training(encoder, fresh) is None
    assert FeatureStores().for_training(encoder, TRAINED) is None


def test_each_sweep_of_a_trained_encoder_has_a_store_of_its_own(encoder):
    stores = FeatureStores()
    assert stores.for_sweep(encoder, TRAINED) is not stores.for_sweep(encoder, TRAINED)
