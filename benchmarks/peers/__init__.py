"""A training step of this package beside those of other trainers: `python -m benchmarks.peers`."""

from pathlib import Path

FILE = Path(__file__).parent / "results" / "peers.json"
"""What was measured last."""
