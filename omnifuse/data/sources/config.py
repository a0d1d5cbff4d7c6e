"""Options of every source, and the table of sources."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from omnifuse.core.registry import PartConfig, Registry


def _delimiter(value: str) -> str:
    """What may stand between fields: one ASCII character that is no part of a word, a quote or a line."""
    if len(value) != 1 or not value.isascii() or value.isalnum() or value in "\"'\r\n\0":
        raise ValueError('give one ASCII character that is no letter, digit, quote or line break, such as ";", or "\\t" for a tab')
    return value


class TableSourceConfig(PartConfig):
    """A table: CSV, TSV, JSONL, Parquet, Arrow or UCR/UEA `.ts`; one file, or all that a pattern such as `*.csv` finds.

    Attributes:
        path: file, pattern, or http(s)/s3 address.
        format: by default what the ending and the first bytes say.
        file_column: name of a column to add that holds the path of the file a row came from, relative to the folder that all
            of them lie in.
        pattern: regular expression, found in that path; its named groups become columns.
        delimiter: between the fields of CSV and TSV files; by default a comma and a tab.
        skip_rows: lines above the header.
        column_names: names of the columns of CSV and TSV files without a header.
        bad_rows: a line of another length, or one that is broken otherwise, stops the preparation, or is set aside.
    """

    name: str = "table"
    path: str
    format: Literal["csv", "tsv", "jsonl", "parquet", "arrow", "ts"] | None = None
    file_column: str | None = None
    pattern: str | None = None
    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    skip_rows: Annotated[int, Field(ge=0)] = 0
    column_names: tuple[str, ...] | None = None
    bad_rows: Literal["error", "quarantine"] = "error"


class FolderSourceConfig(PartConfig):
    """A folder of files, a row for each: class folders, names that say something, or a table beside them.

    Attributes:
        path: the folder.
        files: pattern of the files, such as `**/*.wav`.
        column: name of the column that holds the path.
        label: name of the column that holds the folder a file lies in; none is added when empty.
        pattern: regular expression for the relative path; its named groups become columns.
        metadata: a table with one row a file, joined by its file name; relative to the folder, or else to the recipe.
        key: the column of the metadata that holds the file's relative path, name, or name without ending; by default the one
            that names most files.
    """

    name: str = "folder"
    path: str
    files: str = "**/*"
    column: str = "file"
    label: str = "label"
    pattern: str | None = None
    metadata: str | None = None
    key: str | None = None


class LanceSourceConfig(PartConfig):
    """A Lance table.

    Attributes:
        path: its folder.
        version: a version of it; the newest by default.
    """

    name: str = "lance"
    path: str
    version: int | None = None


class DatasetsSourceConfig(PartConfig):
    """A Hugging Face `datasets` dataset: a folder made by `save_to_disk`, or a name on the hub.

    Attributes:
        path: folder or name.
        config: configuration on the hub.
        split: which split; all of them, with a column `split`, by default.
        revision: commit or tag on the hub.
    """

    name: str = "datasets"
    path: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None


class WebDatasetSourceConfig(PartConfig):
    """WebDataset tars: files of one stem are one row, their endings are the columns.

    Attributes:
        path: a tar, a pattern, an address, or shards such as `train-{000..012}.tar`; the key is in the column `__key__`.
        max_file_mb: a row with a larger file is set aside.
    """

    name: str = "webdataset"
    path: str
    max_file_mb: Annotated[float, Field(gt=0)] = 64


class SqlSourceConfig(PartConfig):
    """Rows of a database query: SQLite or PostgreSQL.

    Attributes:
        query: a SELECT.
        connection: such as `sqlite:///shop.db` (relative to the recipe; four slashes for an absolute path) or
            `postgresql://user:$PGPASSWORD@host/db`; `$NAME` is taken from the environment.
    """

    name: str = "sql"
    query: str
    connection: str


SOURCES = Registry(
    "source",
    {
        TableSourceConfig: "omnifuse.data.sources.table:read",
        FolderSourceConfig: "omnifuse.data.sources.folder:read",
        LanceSourceConfig: "omnifuse.data.sources.lance:read",
        DatasetsSourceConfig: "omnifuse.data.sources.datasets:read",
        WebDatasetSourceConfig: "omnifuse.data.sources.webdataset:read",
        SqlSourceConfig: "omnifuse.data.sources.sql:read",
    },
)


def parse_source(value: Any, where: str = "data.source") -> PartConfig:
    """A path or address stands for a table (or for what lies there); a mapping has the `name` of its kind, or `path` alone."""
    if isinstance(value, str):
        return TableSourceConfig(path=value)
    return SOURCES.parse(value, where, default="table")
