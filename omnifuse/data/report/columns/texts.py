"""Columns of text, and of ids."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from omnifuse.data.report import plots
from omnifuse.data.report.described import TOP, Described, Finding, share_bars
from omnifuse.data.report.sample import ColumnSample
from omnifuse.page.blocks import Plot, Texts
from omnifuse.page.words import counted, percent, quantity, shorten

SNIPPETS, LONGEST_SNIPPET, MOST_IDS = 10, 240, 300_000
WORD = re.compile(r"[぀-ヿ㐀-鿿가-힣]|[^\W\d_]{2,}(?:['’][^\W\d_]+)?")
COMMON = frozenset(
    [
        *("a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could"),
        *("did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "if", "in", "is", "it", "its", "it's"),
        *("i'm", "just", "me", "more", "my", "no", "not", "of", "off", "on", "only", "or", "our", "out", "she", "so", "some", "than"),
        *("that", "the", "their", "them", "then", "there", "they", "this", "to", "too", "up", "us", "very", "was", "we", "were", "what"),
        *("when", "which", "who", "will", "with", "would", "you", "your"),
    ]
)


def describe_text(sample: ColumnSample) -> Described:
    """Lengths, the most frequent words, and some texts to read."""
    described = Described()
    texts = {split: [str(text) for text in sample.present(split)] for split in sample.splits}
    if not texts:
        return described
    lengths = {split: np.array([len(WORD.findall(text)) for text in part], dtype=np.float64) for split, part in texts.items()}
    values = np.concatenate(list(lengths.values()))
    every = [text for part in texts.values() for text in part]
    described.facts = {
        "words": f"{quantity(float(np.median(values)))} at the median, at most {values.max():.0f}",
        "letters": f"at most {max(map(len, every)):,}",
        "different texts": percent(len(set(every)), len(every)),
    }
    words = {split: Counter(word for text in part for word in _words(text)) for split, part in texts.items()}
    total = sum(words.values(), Counter())
    sizes = {split: len(part) for split, part in texts.items()}
    order = [word for word, _ in sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))][:TOP]
    described.blocks.append(Plot("Length", "", plots.histogram(lengths, "words in a text", key=f"{sample.key}-words", whole=True)))
    if order:
        note = "share of the texts with the word, the commonest English ones left out"
        described.blocks.append(share_bars("Words", note, words, sizes, order))
    shown = [(shorten(str(text), LONGEST_SNIPPET), of) for text, of in sample.pick(SNIPPETS)]
    described.blocks.append(Texts("Some of the texts", sample.caption_note.lstrip("; "), shown))
    if len(set(every)) == 1:
        described.findings.append(Finding("look", f"{sample.name}: every text is the same, so the column tells nothing", sample.key))
    return described


def describe_id(sample: ColumnSample) -> Described:
    """How many ids there are, their long tail, and how many of the other splits' were never seen in training."""
    described = Described()
    counts = Counter(map(str, sample.present()))
    if not counts:
        return described
    described.facts = {
        "ids drawn": f"{len(counts):,}",
        "rows of one id": f"{quantity(float(np.median(list(counts.values()))))} at the median, at most {max(counts.values()):,}",
        "seen once": percent(sum(count == 1 for count in counts.values()), len(counts)),
    }
    note = "of the rows drawn, the most frequent first"
    described.blocks.append(Plot("Frequency", note, plots.long_tail(np.array(list(counts.values())), key=f"{sample.key}-tail")))
    known = _train_ids(sample)
    for split in [split for split in sample.splits if split != "train" and known is not None]:
        ids = {str(value) for value in sample.present(split)}
        new = len(ids - (known or set()))
        described.facts[f"new in {split}"] = f"{percent(new, len(ids))} of {counted(len(ids), 'id')}"
    return described


def _train_ids(sample: ColumnSample) -> set[str] | None:
    """Every id of the training split, unless it is too large to read whole."""
    size = sample.dataset.manifest["splits"].get("train", 0)
    if not 0 < size <= MOST_IDS:
        return None
    view = sample.dataset.split("train")
    return {str(value) for value in view.take(range(len(view)), [sample.name])[sample.name] if value is not None}


def _words(text: str) -> set[str]:
    return {word for word in WORD.findall(text.lower()) if word not in COMMON}
