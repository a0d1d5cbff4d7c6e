"""s3:// addresses, through Arrow; credentials, region and endpoint come from the environment."""

from __future__ import annotations

import os
import re
import time
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch.limits import ATTEMPTS, BLOCK, WAIT_S, BadValue, check_size


def listing(pattern: str) -> list[str]:
    """The s3:// addresses that a pattern such as `s3://bucket/part-*.parquet` finds, sorted."""
    from pyarrow import fs

    bucket, _, key = pattern.removeprefix("s3://").partition("/")
    steps = key.split("/")
    fixed = next(number for number, step in enumerate(steps) if re.search(r"[*?\[]", step))
    try:
        selector = fs.FileSelector("/".join([bucket, *steps[:fixed]]), recursive=fixed < len(steps) - 1)
        found = _bucket(bucket).get_file_info(selector)
    except OSError as error:
        raise OmnifuseError(f"{pattern}: {_fault(error)}") from None
    keys = [info.path.partition("/")[2] for info in found if info.type == fs.FileType.File]
    return sorted(f"s3://{bucket}/{key}" for key in keys if _matches(key.split("/"), steps))


def copy_object(address: str, sink: BinaryIO, max_bytes: int, end: float) -> None:
    """Copy an object, checked before and counted while it is read."""
    info = object_info(address)
    check_size(info.size, max_bytes)
    try:
        with _bucket(info.path.partition("/")[0]).open_input_stream(info.path) as stream:
            size = 0
            while block := stream.read(BLOCK * 4):
                size += len(block)
                check_size(size, max_bytes)
                sink.write(block)
                if time.monotonic() > end:
                    raise BadValue("not read in time")
    except OSError as error:
        raise BadValue(_fault(error)) from None


def object_info(address: str) -> Any:
    """Size and time of an object."""
    from pyarrow import fs

    path = address.removeprefix("s3://").rstrip("/")
    try:
        info = _bucket(path.partition("/")[0]).get_file_info(path)
    except OSError as error:
        raise BadValue(_fault(error)) from None
    if info.type != fs.FileType.File:
        raise BadValue("no such object" if info.type == fs.FileType.NotFound else "is a folder of objects, not one")
    return info


def _bucket(bucket: str) -> Any:
    """The store of a bucket, with credentials and endpoint of the environment; anonymous where there are none."""
    known = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    named = any(map(os.environ.get, known)) or (Path.home() / ".aws" / "credentials").is_file()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ("us-east-1" if endpoint else None)
    return _store(bucket if region is None else "", region, endpoint, named)


@lru_cache(maxsize=16)
def _store(bucket: str, region: str | None, endpoint: str | None, named: bool) -> Any:
    from pyarrow import fs

    parts = urlsplit(endpoint) if endpoint else None
    return fs.S3FileSystem(
        anonymous=not named,  # else it would ask the cloud's own address for credentials
        region=region or fs.resolve_s3_region(bucket),
        endpoint_override=parts.netloc if parts else None,
        scheme=parts.scheme if parts else "https",
        connect_timeout=WAIT_S,
        request_timeout=WAIT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


def _fault(error: OSError) -> str:
    words = str(error)
    for mark, meaning in (("ACCESS_DENIED", "access is denied"), ("NO_SUCH_BUCKET", "no such bucket"), ("NETWORK", "no connection")):
        if mark in words:
            return f"{meaning} (credentials and endpoint are taken from the environment: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …)"
    return f"the store cannot be read ({' '.join(words.split())[:120]})"


def _matches(steps: list[str], pattern: list[str]) -> bool:
    return len(steps) == len(pattern) and all(map(fnmatchcase, steps, pattern))
