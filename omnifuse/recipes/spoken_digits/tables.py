"""Words and clips of people who say them: the Free Spoken Digit Dataset."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from omnifuse.core.atomic import replacing
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import fetch
from omnifuse.recipes import data_folder
from omnifuse.recipes.generate.tables import WORDS

TEST_CLIPS, MAX_BYTES = 5, 1_000_000
CLIP = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<index>\d+)\.wav")


def write_tables(folder: Path) -> dict[str, Path]:
    """Write `train.parquet` (2,700 clips) and `test.parquet` (300: clips 0 to 4 of each speaker and digit).

    Columns: word, audio (WAV), digit, speaker.

    Raises:
        OmnifuseError: the data are not there.
    """
    rows: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    recordings = data_folder("fsdd") / "recordings"
    for path in sorted(recordings.glob("*.wav")):
        if found := CLIP.fullmatch(path.name):
            row = {"word": WORDS[int(found["digit"])], "audio": fetch(path.name, recordings, MAX_BYTES)}
            row |= {"digit": found["digit"], "speaker": found["speaker"]}
            rows["test" if int(found["index"]) < TEST_CLIPS else "train"].append(row)
    if not all(rows.values()):
        raise OmnifuseError(f"{recordings}: clips such as 7_jackson_32.wav are needed")
    tables = {split: folder / f"{split}.parquet" for split in rows}
    for split, path in tables.items():
        with replacing(path) as place:
            pq.write_table(pa.Table.from_pylist(rows[split]), place)
    return tables
