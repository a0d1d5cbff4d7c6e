"""Options of a column, joined with what its encoder dictates."""

from __future__ import annotations

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema
from omnifuse.core.spec import InputSpec
from omnifuse.data.modalities.config import ImageConfig, TextConfig, check_columns, column_config
from omnifuse.data.modalities.fitting import fit_processors


def test_options_of_a_column_are_read():
    assert column_config(Column("photo", "image", size=64)) == ImageConfig(size=64)
    assert column_config(Column("note", "text", lowercase=False)) == TextConfig(lowercase=False)


def test_what_the_encoder_dictates_is_followed():
    demands = InputSpec(size=224, channels=3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    config = column_config(Column("photo", "image"), demands)
    assert isinstance(config, ImageConfig)
    assert (config.size, config.channels, config.mean, config.std) == (224, 3, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))


def test_a_demand_reaches_the_fitted_processor():
    import io

    from PIL import Image

    class Pictures:
        def present(self, name: str):
            buffer = io.BytesIO()
            Image.new("RGB", (64, 64), "red").save(buffer, "PNG")
            yield buffer.getvalue()

        def absent(self, name: str) -> int:
            return 0

    processors = fit_processors(Schema([Column("photo", "image")]), Pictures(), {"photo": InputSpec(size=24, channels=1)})
    assert processors["photo"].spec.shape == (1, 24, 24)


def test_an_option_that_agrees_with_the_encoder_is_kept():
    assert column_config(Column("photo", "image", size=224), InputSpec(size=224)) == ImageConfig(size=224)


def test_an_option_that_contradicts_the_encoder_is_refused():
    with pytest.raises(OmnifuseError, match=r"^columns.photo.size: 64 contradicts its encoder, which dictates 224"):
        column_config(Column("photo", "image", size=64), InputSpec(size=224))


def test_a_default_that_was_not_written_does_not_contradict():
    config = column_config(Column("note", "text"), InputSpec(max_length=77))
    assert isinstance(config, TextConfig)
    assert config.max_length == 77


def test_a_demand_that_the_modality_does_not_know_is_refused():
    with pytest.raises(OmnifuseError, match=r"^columns.note: its encoder dictates size=224, which text columns do not have"):
        column_config(Column("note", "text"), InputSpec(size=224))


def test_no_demands_leave_the_options_as_they_are():
    assert column_config(Column("photo", "image"), InputSpec()) == ImageConfig()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("photo", "imgae"), r'^columns.photo: unknown modality "imgae"; did you mean "image"'),
        (Column("photo", "image", sise=3), r'^columns.photo: unknown option "sise"; did you mean "size"'),
        (Column("photo", "image", size=2), r"^columns.photo.size: .*greater than or equal to 8"),
        (Column("photo", "image", channels=4), r"^columns.photo.channels: "),
        (Column("note", "text", vocabulary="many"), r"^columns.note.vocabulary: "),
        (Column("price", "number", size=3), r'^columns.price: unknown option "size"'),
    ],
)
def test_faults_name_the_column_and_the_option(column: Column, message: str):
    with pytest.raises(OmnifuseError, match=message) as caught:
        check_columns(Schema([column]))
    assert "\n" not in str(caught.value)
