"""The models' folders: whatever is missing is built when it is asked for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.facts import Facts
from benchmarks.organisms.making.text import Texts
from benchmarks.population.bases import train_model
from benchmarks.population.corpus import write_corpus
from benchmarks.population.fine_tunes import took, tuned
from benchmarks.population.tokenizers import make_tokenizer
from example_suite.cache import cache_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from benchmarks.population.bases import Base, Half
    from benchmarks.population.fine_tunes import FineTune


def folder() -> Path:
    """Where models are kept: CROSSDIFF_POPULATION, or in the user's cache."""
    chosen = os.environ.get("CROSSDIFF_POPULATION")
    return Path(chosen) if chosen else cache_folder().parent / "population"


class Family:
    """Tokenizers and models under `root`, and what is known of each."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or folder()
        self.root.mkdir(parents=True, exist_ok=True)
        self.texts = Texts.gathered(self.root)
        self._facts = Facts(self.root / "family.json")

    @property
    def facts(self) -> dict[str, dict[str, object]]:
        """What is known of each model: seconds to make, whether a plant took."""
        return self._facts.read()

    def note(self, name: str, facts: dict[str, object]) -> None:
        """Keep and print what is known of a model."""
        self._facts.add(name, facts)
        print(name, facts, flush=True)

    def tokenizer(self, kind: str) -> PreTrainedTokenizerBase:
        """The tokenizer of this kind."""
        folder = self.root / f"tokenizer-{kind}"
        if not (folder / "tokenizer.json").exists():
            make_tokenizer(kind, self.texts).save_pretrained(folder)
        return AutoTokenizer.from_pretrained(folder)

    def base(self, base: Base) -> Path:
        """A model of the population."""
        folder = self.root / base.name
        if not (folder / "config.json").exists():
            tokenizer, began = self.tokenizer(base.tokenizer), time.process_time()
            self.save(train_model(base, self.texts, tokenizer), tokenizer, folder)
            self.note(base.name, {"seconds": round(time.process_time() - began, 1)})
        return folder

    def fine_tune(self, of: FineTune) -> Path:
        """A fine-tune; what was planted is checked by its behaviour."""
        folder = self.root / of.name
        if not (folder / "config.json").exists():
            tokenizer, began = self.tokenizer(of.base.tokenizer), time.process_time()
            before = self.load(self.base(of.base))
            torch.manual_seed(of.seed)
            after = tuned(of, before, self.texts, tokenizer)
            facts: dict[str, object] = {}
            if of.plant is not None:
                change, worked = took(of.plant, before, after, self.texts, tokenizer)
                facts |= {"plant": of.plant.name, "change": round(change, 2), "worked": worked}
            self.save(after, tokenizer, folder)
            seconds = round(time.process_time() - began, 1)
            self.note(of.name, {"base": of.base.name, **facts, "seconds": seconds})
        return folder

    def made(self, of: FineTune) -> bool:
        """Whether a fine-tune is there and what was planted took; benign ones always did."""
        built = (self.root / of.name / "config.json").exists()
        return built and (of.plant is None or bool(self.facts[of.name]["worked"]))

    def corpus(self, half: Half) -> Path:
        """The texts that all models of a half are read on."""
        path = self.root / f"corpus-{half}.jsonl"
        return path if path.exists() else write_corpus(self.texts, half, path)

    def load(self, folder: Path) -> PreTrainedModel:
        """The model in `folder`, in fp32."""
        return AutoModelForCausalLM.from_pretrained(folder).float().eval()

    def save(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
    ) -> None:
        """Keep a model; the folder is whole once it has a config."""
        part = folder.with_name(folder.name + ".part")
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        part.rename(folder)
