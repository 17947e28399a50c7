from __future__ import annotations

import pytest
from pydantic import ValidationError

from handbone_models import smp_options
from handbone_models.smp_options import FpnOptions, UnetOptions

CLASSES = [each for name, each in vars(smp_options).items() if name.endswith("Options")][1:]


@pytest.mark.parametrize("options", CLASSES)
def test_every_option_says_what_it_is(options):
    for name, field in options.model_fields.items():
        assert field.description, f"{options.__name__}.{name}"


@pytest.mark.parametrize("channels", [(8, 8, 8, 8), (8,) * 6, (8, 8, 8, 8, 0)])
def test_a_decoder_has_five_positive_widths(channels):
    with pytest.raises(ValidationError):
        UnetOptions(decoder_channels=channels)


def test_attention_needs_channels_to_squeeze():
    assert UnetOptions(attention="scse").decoder_channels[-1] == 16
    assert UnetOptions(decoder_channels=(8,) * 5).attention == "none"
    with pytest.raises(ValidationError, match="divides channels by 16, and decoder_channels has 8"):
        UnetOptions(attention="scse", decoder_channels=(64, 32, 16, 8, 16))


def test_branches_of_the_pyramid_are_normalised_in_groups_of_channels():
    with pytest.raises(ValidationError, match="multiple of 32"):
        FpnOptions(segmentation_channels=100)


def test_the_encoder_comes_first_in_a_shown_recipe():
    assert list(UnetOptions.model_fields)[:2] == ["encoder", "pretrained"]
