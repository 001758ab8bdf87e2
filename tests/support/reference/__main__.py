"""Writes the reference."""

from benchmarks.documents import write_blocks
from support.reference import SCHEMA, blocks, schema

write_blocks(blocks())
SCHEMA.write_text(schema(), "utf-8")
