"""Where clips come from: manifests, Parquet, WebDataset shards, Hugging Face sets, folders."""

from unisono.data.sources.base import Source, SourceOptions, parse_entry
from unisono.data.sources.find import ACCEPTED, Opener

__all__ = ["ACCEPTED", "Opener", "Source", "SourceOptions", "parse_entry"]
