"""Where rows come from: files, folders, Lance, Hugging Face datasets, tars, databases, addresses."""

from omnifuse.data.sources.fingerprint import source_fingerprint as source_fingerprint
from omnifuse.data.sources.source import read_source as read_source
from omnifuse.data.sources.source import source_base as source_base
from omnifuse.data.sources.source import source_name as source_name
