"""What the words of a column give away: file endings, dates, dressed numbers, units, several labels, vectors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from omnifuse.data.fetch import BadValue

NEARLY_ALL = 0.98
ENDINGS = {
    "image": "png jpg jpeg webp gif bmp tif tiff ppm pgm ico",
    "audio": "wav flac ogg oga mp3 m4a aac opus aif aiff wma au",
    "video": "mp4 mkv avi mov webm m4v mpg mpeg wmv",
    "points": "pcd ply bin",
    "series": "csv tsv npy npz parquet arrow feather",
}
MODALITY_OF = {ending: modality for modality, endings in ENDINGS.items() for ending in endings.split()}
FILE = re.compile(r"[^/\\]\.(\w{2,7})(?:\?.*)?$")
DAY_FORMATS = [f"%d{mark}%m{mark}{year}" for mark in "/-." for year in ("%Y", "%y")]
MONTH_FORMATS = [f"%m{mark}%d{mark}{year}" for mark in "/-" for year in ("%Y", "%y")]  # nobody writes 5.31.2024
NAMED_FORMATS = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%a, %d %b %Y", "%Y-%m")
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %H:%M:%S %z", "T%H:%M:%S")
DATE_NAME = re.compile(r"(^|[\s_\-])(date|day|datetime|timestamp|time|ts|created|updated|at|on)$|[a-z](Date|Time|At)$", re.IGNORECASE)
MONEY = re.compile(r"[$€£¥₹%]|\d[,'’\s]\d{3}(\D|$)")
QUANTITY = re.compile(r"[-+−]?\d[\d.,]*(?:[eE][-+]?\d+)?(?:\s*(?=\D{2})|\s+)([^\W\d][\w/°^·*%µ²³]{0,15}|°[CF]|%)")
SEPARATORS = ("|", ";", ",")


def media_of_paths(words: Sequence[str]) -> str | None:
    """The modality of files, where nine words of ten end like the names of such files."""
    endings = Counter(MODALITY_OF.get(found[1].lower(), "") if (found := FILE.search(word)) else "" for word in words)
    modality, count = endings.most_common(1)[0]
    return modality if modality and count > 0.9 * len(words) else None


def media_of_bytes(data: bytes) -> str | None:
    """The modality of a file by its first bytes; `None` where they say nothing."""
    from omnifuse.data.decode.kinds import ending_of

    ending = ending_of(data).removeprefix(".")
    return None if ending in ("bin", "csv") else MODALITY_OF.get(ending)


def date_format(words: Sequence[str]) -> str | None:
    """How dates are written: `""` for ISO 8601, a format of `strptime`, `"?"` where day and month cannot be told apart."""
    if not all(any(sign.isdigit() for sign in word) for word in words[:20]):
        return None
    if _share(_reads, words, None) > NEARLY_ALL:
        return ""
    forms = [form + clock for form in (*DAY_FORMATS, *MONTH_FORMATS, *NAMED_FORMATS) for clock in CLOCKS]
    likely = [form for form in forms if _reads(words[0], form) or _reads(words[-1], form)]
    fitting = [form for form in likely if _share(_reads, words, form) > NEARLY_ALL]
    months_first = [form for form in fitting if form[:4] in ("%m/%", "%m-%")]
    if months_first and len(months_first) < len(fitting):
        return "?"
    return fitting[0] if fitting else None


def number_date_format(name: str, numbers: Sequence[float]) -> str | None:
    """How the numbers of a column that is called like a date say moments: as `20240531`, or as a count since 1970."""
    if DATE_NAME.search(name) is None or not all(number.is_integer() for number in numbers):
        return None
    lowest, highest = min(numbers), max(numbers)
    if 19000101 <= lowest <= highest <= 21001231 and _share(_reads, [str(int(number)) for number in numbers], "%Y%m%d") > NEARLY_ALL:
        return "%Y%m%d"
    for form, factor in (("unix_s", 1), ("unix_ms", 1000)):
        if 6.3e8 * factor <= lowest <= highest <= 4.1e9 * factor:  # 1990 to 2099
            return form
    return None


def number_format(words: Sequence[str]) -> str | None:
    """`point` or `comma` where words are numbers with groups of digits, signs of money or per cent."""
    if not any(MONEY.search(word) or "," in word for word in words):
        return None
    fitting = [form for form in ("point", "comma") if _share(_is_numeral, words, form) > NEARLY_ALL]
    return fitting[0] if fitting else None  # `1,083` fits both: groups of three are likelier than three decimals


def unit_of(words: Sequence[str]) -> str | None:
    """The most frequent unit, where words are numbers with units that pint can convert into it."""
    units = Counter(found[1] if (found := QUANTITY.fullmatch(word.strip())) else "" for word in words)
    unit = units.most_common(1)[0][0]
    if not unit or units[""] > (1 - NEARLY_ALL) * len(words):
        return None
    from omnifuse.data.modalities.numerals import knows_unit, read_quantity

    if not knows_unit(unit):
        return None
    try:
        for other in units:
            if other:
                read_quantity(f"1 {other}", "plain", unit)
    except BadValue:
        return None
    return unit


def vector_size(values: Sequence[Any]) -> int | None:
    """How many numbers each value holds, where all hold equally many: lists, `[1, 2]`, or at least three as `0.1 0.2 0.3`."""
    from omnifuse.data.modalities.config import VectorConfig
    from omnifuse.data.modalities.vector import VectorProcessor

    reader, sizes = VectorProcessor(VectorConfig()), set()
    for value in values[:200]:
        try:
            numbers = reader.canonical(value)
        except BadValue:
            return None
        least = 3 if isinstance(value, str) and not value.strip().startswith(("[", "(")) else 2
        if numbers is None or len(numbers) < least:
            return None
        sizes.add(len(numbers))
    return sizes.pop() if len(sizes) == 1 else None


def set_separator(words: Sequence[str]) -> str | None:
    """What stands between labels, where words hold several of them: they are short, and they repeat in all places."""
    for separator in SEPARATORS:
        split = [[part.strip() for part in word.split(separator)] for word in words]
        several = [parts for parts in split if len(parts) > 1]
        if len(several) < 0.1 * len(words) or len(several) < 5:
            continue
        counts = Counter(part for parts in split for part in parts)
        lengths = {len(parts) for parts in split}
        everywhere = {parts[0] for parts in several} & {part for parts in several for part in parts[1:]}
        is_field = separator == "," and (len(lengths) == 1 or len(everywhere) < 2)  # `Ghent, Belgium`; `Smith, John`
        if repeats(counts) and not is_field and max(len(part.split()) for part in counts) <= 4:
            return separator
    return None


def repeats(counts: Counter[str]) -> bool:
    """Whether labels come back often enough to be learned: three times on average."""
    return counts.total() >= 3 * len(counts)


def _share(test: Any, words: Sequence[str], *options: Any) -> float:
    """Share of at most 300 words, evenly chosen, that pass."""
    chosen = words[:: max(1, len(words) // 300)]
    return sum(test(word, *options) for word in chosen) / len(chosen)


def _reads(word: str, form: str | None) -> bool:
    import datetime

    from omnifuse.data.modalities.instants import microseconds

    try:
        microseconds(word, form, datetime.UTC)
    except BadValue:
        return False
    return True


def _is_numeral(word: str, form: Any) -> bool:
    from omnifuse.data.modalities.numerals import read_numeral

    try:
        read_numeral(word, form)
    except BadValue:
        return False
    return True
