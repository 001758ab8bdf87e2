"""Which pieces of the corpus are read, and which of those are held out.

No tokenizer has a say, so both models read the same pieces, and a baseline that was harvested once
serves any candidate.  Stdlib only.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from pytest_crossdiff.engine.corpus.cutting import split_text
from pytest_crossdiff.engine.corpus.documents import canonical
from pytest_crossdiff.engine.corpus.messages import SEPARATOR, Message
from pytest_crossdiff.errors import CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_crossdiff.engine.corpus.documents import Corpus

BYTES_PER_TOKEN = 4
"""UTF-8 bytes in an average token of English, by which budgets and lengths are estimated."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one document: characters from `start` on, or a whole conversation.

    document: index into the corpus's documents.  tools: those of a conversation, as JSON.
    """

    document: int
    start: int
    text: str | None
    messages: tuple[Message, ...]
    heldout: bool
    tools: str = ""

    @property
    def shared_text(self) -> str:
        """The text that places refer to, whichever model reads it: of a conversation, the texts of
        its messages, joined.
        """
        if self.text is not None:
            return self.text
        return SEPARATOR.join(message.text for message in self.messages)


@dataclass(frozen=True)
class Sample:
    """The pieces that are read, by document and place; documents are counted by group.

    digest: SHA-256 of everything about the pieces that a model or the split can see.
    """

    pieces: tuple[Piece, ...]
    digest: str
    documents: int
    heldout_documents: int


def estimate(text: str) -> int:
    """About how many tokens `text` has, at 4 UTF-8 bytes each, rounded up."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def sample(corpus: Corpus, *, tokens: int, context: int, heldout: float, seed: int) -> Sample:
    """Draw pieces of at most `context` tokens until `tokens` are reached, and hold a share out.

    Conversations stay whole, and the documents of a group stay on one side.  Draw and division
    follow hashes of the seed and the contents, so the order of documents decides nothing.  Raises
    `CorpusError` when fewer than two groups are drawn.
    """
    groups = [document.group for document in corpus.documents]
    ranked = [
        (_rank(piece, groups[piece.document], seed), piece) for piece in _cut(corpus, context)
    ]
    ranked.sort(key=lambda item: item[0])
    drawn: list[Piece] = []
    sizes: dict[str, int] = defaultdict(int)
    total = 0
    for _, piece in ranked:
        if total >= tokens:
            break
        drawn.append(piece)
        sizes[groups[piece.document]] += _size(piece)
        total += _size(piece)
    if len(sizes) < 2:
        _too_few(corpus, len(set(groups)), tokens)
    kept = _heldout(sizes, heldout * total, seed)
    pieces = [replace(piece, heldout=groups[piece.document] in kept) for piece in drawn]
    pieces.sort(key=lambda piece: (piece.document, piece.start))
    digest = hashlib.sha256()
    for piece in pieces:
        place = [groups[piece.document], piece.start, piece.heldout]
        digest.update(_hash(place, canonical(piece.text, piece.messages, piece.tools)))
    return Sample(tuple(pieces), digest.hexdigest(), len(sizes), len(kept))


def _cut(corpus: Corpus, context: int) -> Iterator[Piece]:
    """All pieces of the corpus; every character of a text lies in exactly one."""
    for index, document in enumerate(corpus.documents):
        if document.text is None:
            yield Piece(index, 0, None, document.messages, heldout=False, tools=document.tools)
            continue
        for start, text in split_text(document.text, context * BYTES_PER_TOKEN):
            yield Piece(index, start, text, (), heldout=False)


def _size(piece: Piece) -> int:
    return estimate(piece.shared_text)


def _heldout(sizes: Mapping[str, int], target: float, seed: int) -> set[str]:
    """The groups held out: those first in hash order, as far as each brings nearer to `target`.

    One group at least is on either side.
    """
    ranked = sorted(sizes, key=lambda group: _hash([seed, "heldout", group]))
    kept: set[str] = set()
    missing = target
    for group in ranked:
        if abs(missing - sizes[group]) < missing:  # a large one would overshoot by more
            kept.add(group)
            missing -= sizes[group]
    smallest = min(ranked, key=lambda group: sizes[group])
    return (kept - {smallest} if len(kept) == len(ranked) else kept) or {smallest}


def _rank(piece: Piece, group: str, seed: int) -> bytes:
    content = canonical(
        piece.text, piece.messages, piece.tools
    )  # tells documents of one group apart
    return _hash([seed, "draw", group, piece.start], content)


def _hash(place: list[object], content: bytes = b"") -> bytes:
    return hashlib.sha256(json.dumps(place).encode() + b"\n" + content).digest()


def _too_few(corpus: Corpus, groups: int, tokens: int) -> NoReturn:
    if groups < 2:
        what = f"the corpus {corpus.source} is one document"
        remedy = "split it into records: one side trains, the other, of other documents, verifies"
    else:
        what = f"only one document fits into {tokens} tokens"
        remedy = "raise crossdiff_tokens"
    raise CorpusError(
        f"{what}, which can't be divided into training and held-out texts",
        source=f"crossdiff_corpus = {corpus.source}",
        remedy=remedy,
    )
