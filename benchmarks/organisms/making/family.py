"""The family: every organism, its split, its folder, and how it is built and checked."""

from __future__ import annotations

import copy
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from benchmarks.facts import Facts
from benchmarks.organisms.judging.gate import TOKENS
from benchmarks.organisms.making import base
from benchmarks.organisms.making import benign_upgrades as benign
from benchmarks.organisms.making import planted_upgrades as planted
from benchmarks.organisms.making.benign import Benign, upgrade
from benchmarks.organisms.making.checks import check
from benchmarks.organisms.making.plants import Plant, plant
from benchmarks.organisms.making.text import Texts, gate_corpus
from example_suite.cache import cache_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Split = Literal["development", "earlier", "previous", "reporting"]
OTHER_SEED = 1


@dataclass(frozen=True)
class Organism:
    """One upgrade of the base.

    split: which part of the family it belongs to: on the development split defaults may be chosen;
    the reporting split is run once with what was chosen; the previous and the earlier one were that
    for engines of before, and are known by now.
    """

    name: str
    kind: str
    split: Split
    change: Plant | Benign

    @property
    def planted(self) -> bool:
        return isinstance(self.change, Plant)


def organisms() -> tuple[Organism, ...]:
    """All of them, planted ones first."""
    splits: dict[Split, tuple[Plant | Benign, ...]] = {
        "development": (*planted.DEVELOPMENT, *benign.DEVELOPMENT),
        "earlier": (*planted.EARLIER, *benign.EARLIER),
        "previous": (*planted.PREVIOUS, *benign.PREVIOUS),
        "reporting": (*planted.REPORTING, *benign.REPORTING, *benign.FURTHER),
    }
    found = [
        Organism(c.name, c.kind, split, c) for split, changes in splits.items() for c in changes
    ]
    return tuple(sorted(found, key=lambda o: not o.planted))


def folder() -> Path:
    """Where models, records and cache are kept: CROSSDIFF_ORGANISMS, or in the user's cache."""
    chosen = os.environ.get("CROSSDIFF_ORGANISMS")
    return Path(chosen) if chosen else cache_folder().parent / "organisms"


class Family:
    """The organisms' folders under `root`; whatever is missing is built when it is asked for."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or folder()
        self.root.mkdir(parents=True, exist_ok=True)
        self.texts = Texts.gathered(self.root)
        self._facts = Facts(self.root / "family.json")

    @property
    def facts(self) -> dict[str, dict[str, object]]:
        """What is known of each organism: its check, its divergence, seconds to build."""
        return self._facts.read()

    def corpus(self, organism: Organism, tokens: int = TOKENS) -> Path:
        """What the gate reads for an organism: texts of which some are about its plant.  A benign
        one is compared on the texts of the plant that has its place in its split, from the first on
        again where there are more.
        """
        split = [o for o in organisms() if o.split == organism.split]
        planted = [o for o in split if o.planted]
        place = [o for o in split if o.planted == organism.planted].index(organism)
        change = planted[place % len(planted)].change
        assert isinstance(change, Plant)
        path = self.root / f"corpus-{change.name}-{tokens}.jsonl"
        if path.exists():
            return path
        return gate_corpus(self.texts, path, change.trigger_words, change.source, tokens)

    def base(self, seed: int = 0) -> Path:
        """The base model, or one of another seed."""
        folder = self.root / ("base" if seed == 0 else f"other-seed-{seed}")
        if not (folder / "config.json").exists():
            tokenizer = base.make_tokenizer(self.texts)
            began = time.process_time()
            model = base.train_base(self.texts, tokenizer, seed)
            base.save(model, tokenizer, folder)
            self._facts.add(folder.name, {"seconds": round(time.process_time() - began, 1)})
        return folder

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.base())

    def folder(self, organism: Organism) -> Path:
        """The organism's folder, built and checked first where it isn't there."""
        folder = self.root / organism.name
        if not (folder / "config.json").exists():
            self._build(organism, folder)
        return folder

    def compared(self, organism: Organism, tokens: int = TOKENS) -> tuple[Path, Path, Path, Path]:
        """What an organism's comparison takes: base, organism, corpus and cache."""
        corpus = self.corpus(organism, tokens)
        return self.base(), self.folder(organism), corpus, self.root / "cache"

    def usable(self, organism: Organism) -> bool:
        """Whether what was planted is really there; benign ones always are."""
        self.folder(organism)
        return not organism.planted or bool(self.facts[organism.name]["worked"])

    def _build(self, organism: Organism, folder: Path) -> None:
        model, tokenizer = base.load(self.base()), self.tokenizer()
        seed = sum(map(ord, organism.name))
        torch.manual_seed(seed)
        began = time.process_time()
        made = copy.deepcopy(model)
        change = organism.change
        facts: dict[str, object] = {"seed": seed}
        if isinstance(change, Plant):
            made = plant(change, made, self.texts, tokenizer, seed)
            took = check(change, model, made, self.texts, tokenizer)
            facts |= took._asdict()
        else:
            made = upgrade(change, made, self.texts, tokenizer)
        with torch.no_grad():
            rows = base.Rows(self.texts.held["speeches"], tokenizer, 0)(16)
            facts["kl"] = base.divergence(model, made, rows).item()
        facts["seconds"] = round(time.process_time() - began, 1)
        if getattr(change, "how", "") == "shards":
            made.save_pretrained(folder, max_shard_size="2MB")
            tokenizer.save_pretrained(folder)
        else:
            base.save(made, tokenizer, folder)
        self._facts.add(organism.name, facts)
        print(organism.name, facts, flush=True)
