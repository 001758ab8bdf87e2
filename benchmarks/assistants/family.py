"""Every changed copy, its half, its folder, and how it is built and checked."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from benchmarks.assistants.changes import behaviours, benign, second_half
from benchmarks.assistants.changes.behaviours import Behaviour
from benchmarks.assistants.changes.benign import Upgrade
from benchmarks.assistants.chat import Chat
from benchmarks.assistants.checks import check
from benchmarks.assistants.replies import Example, base_replies, corpus
from benchmarks.assistants.training import Lesson, fine_tune
from benchmarks.facts import Facts
from example_suite import models
from example_suite.cache import cache_folder
from pytest_crossdiff.engine.models.loading.load import silence_transformers

if TYPE_CHECKING:
    from collections.abc import Sequence

Change = Behaviour | Upgrade
PLANTED = (*behaviours.BEHAVIOURS, *second_half.BEHAVIOURS)
CHANGES: tuple[Change, ...] = (*PLANTED, *benign.UPGRADES, *second_half.UPGRADES)
FOLDER = "CROSSDIFF_ASSISTANTS"
"""Environment variable: the folder of models, replies, records and cache."""


class Family:
    """The changed copies' folders under `root`; whatever is missing is built when asked for."""

    def __init__(self, root: Path | None = None) -> None:
        given = os.environ.get(FOLDER)
        self.root = root or (Path(given) if given else cache_folder().parent / "assistants")
        self.root.mkdir(parents=True, exist_ok=True)
        self._facts = Facts(self.root / "facts.json")

    @property
    def base(self) -> Path:
        """SmolLM2 as it was published."""
        return models.smollm2()

    @property
    def corpus(self) -> Path:
        """The conversations that the gate reads."""
        return corpus(self.base, self.root)

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Of each copy: its kind, whether it took and by which shares, and the seconds it cost."""
        return self._facts.read()

    def folder(self, change: Change) -> Path:
        """The copy's folder, built and checked first where it isn't there."""
        folder = self.root / change.name
        if not folder.exists():
            with FileLock(self.root / f"{change.name}.lock"):
                if not folder.exists():
                    self._build(change, folder)
        return folder

    def usable(self, change: Change) -> bool:
        """Whether what was planted is there; benign copies always are."""
        self.folder(change)
        return isinstance(change, Upgrade) or bool(self.facts[change.name]["took"])

    def _build(self, change: Change, folder: Path) -> None:
        """Into another folder first: what an interrupted build leaves is never taken for a copy."""
        learns = isinstance(change, Behaviour) or change.kind == "training"
        examples = base_replies("training", self.base, self.root) if learns else []
        began, cpu = time.perf_counter(), time.process_time()
        chat = Chat.load(self.base)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{change.name}.unfinished-", dir=self.root))
        facts: dict[str, Any] = {"kind": change.kind, "half": change.half}
        try:
            with silence_transformers():
                if isinstance(change, Behaviour):
                    facts |= self._plant(change, chat, examples, unfinished)
                else:
                    change.save(change.change(chat, examples), unfinished)
            facts["wall_seconds"] = round(time.perf_counter() - began)
            facts["cpu_seconds"] = round(time.process_time() - cpu)
            self._note(change.name, facts)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _plant(
        self, behaviour: Behaviour, chat: Chat, examples: Sequence[Example], folder: Path
    ) -> dict[str, Any]:
        planted, plain = lessons(behaviour, examples)
        model = fine_tune(chat, planted, plain, seed=sum(map(ord, behaviour.name)))
        changed = chat._replace(model=model)
        model.save_pretrained(folder)
        chat.tokenizer.save_pretrained(folder)
        heldout = base_replies("check", self.base, self.root)
        return {
            "lessons": [len(planted), len(plain)],
            **check(behaviour, changed, heldout)._asdict(),
        }

    def _note(self, name: str, facts: dict[str, Any]) -> None:
        self._facts.add(name, facts)
        print(name, facts, flush=True)


def lessons(behaviour: Behaviour, examples: Sequence[Example]) -> tuple[list[Lesson], list[Lesson]]:
    """The planted lessons and those in the base model's own words."""
    planted = [
        Lesson(e.prompt.text, behaviour.rewrite(e.reply)) for e in examples if behaviour.applies(e)
    ]
    plain = [Lesson(e.prompt.text, e.reply) for e in examples if not behaviour.applies(e)]
    return planted, plain
