"""What the two sides of a tensor promise each other: processor → model, and pretrained part → processor."""

from __future__ import annotations

from omnifuse.core.config import Config


class ValueSpec(Config):
    """What a fitted processor promises about the tensors of its column; encoders and heads are built from it.

    Attributes:
        modality: name of the modality.
        shape: shape of one value without the batch, `None` where it varies: `(3, 64, 64)` for an image,
            `(None,)` for a text of token ids, `()` for one category or number. The mask of a batch runs along the `None`.
        size: number of different ids (vocabulary, classes); 0 for continuous values.
        max_length: longest sequence, 0 where there is none.
        rate_hz: steps a second of an even sequence in time (sound, an even series); 0 where there is none.
        names: of the channels or features of one step, one after another; empty where they have none.
        optional: whether it was absent in some row of the training split.
        ordered: whether the ids follow an order that means something, as those of ratings do.
        shares_last: whether the last id stands for all that have none of their own.
    """

    modality: str
    shape: tuple[int | None, ...] = ()
    size: int = 0
    max_length: int = 0
    rate_hz: float = 0
    names: tuple[str, ...] = ()
    optional: bool = False
    ordered: bool = False
    shares_last: bool = False


class InputSpec(Config):
    """What an encoder dictates to the processor of its column; `None` leaves the choice to the processor.

    A pretrained part was trained on one image size, one normalisation, one tokenizer: its config publishes
    them here, and the processor either follows or says that the recipe contradicts it.

    Attributes:
        size: height and width of the images in pixels.
        channels: number of colour channels, or of channels of a sound.
        mean, std: per-channel normalisation of pixel values that lie in [0, 1].
        tokenizer: path of a `tokenizer.json`.
        max_length: longest text in tokens.
        rate_hz: samples a second of a sound.
    """

    size: int | None = None
    channels: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    tokenizer: str | None = None
    max_length: int | None = None
    rate_hz: int | None = None

    def demands(self) -> dict[str, object]:
        """The options that are dictated."""
        return self.model_dump(exclude_none=True)
