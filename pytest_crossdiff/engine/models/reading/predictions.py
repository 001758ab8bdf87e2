"""What a model predicts at each place, as a vector that a dictionary can read.

p are the model's probabilities at a place: of the next token, or of the tags of this one. The
vector is √p, in which the distance of two predictions is Hellinger's: a prediction that changes
wholly goes as far as any can, whatever the hidden state did, and the many tokens that neither model
would ever say hardly count. It is as long as the vocabulary, so it is brought to `WIDTH` numbers by
signs drawn at random, which keeps lengths and angles to about one in √WIDTH (Johnson and
Lindenstrauss). The signs of a token hang on its text: two vocabularies give it the same. Outputs
with the same text, such as a byte and the token of its character, are one word: their
probabilities are summed first.

Axes: b texts of a batch, p places, t places of a block, v outputs, w words, d width.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pytest_crossdiff.engine.models.reading.blocks import supported_inputs
from pytest_crossdiff.engine.models.reading.passes import intercepted
from pytest_crossdiff.engine.models.reading.token_texts import token_texts
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_crossdiff.engine.models.reading.passes import Compute
    from pytest_crossdiff.settings.default_layers import Head

WIDTH = 512
AT_ONCE = 2**24
"""Probabilities that are held at once."""
TINY = 1e-30
"""The least probability from which a surprise is computed."""
LISTED, CANDIDATE_TOKENS = 8, 64
"""Words that are named, and among how many."""


class ModelReadout(NamedTuple):
    """Predictions on a batch: vectors, shape (b, p, d), in the number type of the logits, and how
    little the text's own tokens were expected, -log p in nats, shape (b, p), on the CPU: NaN for
    each text's first, and where the next token isn't what is predicted.  probability_w: of each
    word, summed over the places that count, fp32, on the CPU; empty where a block was read.
    """

    vectors_bpd: Tensor
    nll_bp: Tensor
    probability_w: Tensor = torch.empty(0)


class Predictions(NamedTuple):
    """words: what the outputs stand for, tokens or tags, each once.  signs_wd: of each, 1 / √WIDTH
    long.  next_token: whether it is the token behind each place that is predicted.  word_of_v: for
    each output its word, None where they are the same in number.
    """

    words: Sequence[str]
    signs_wd: Tensor
    next_token: bool = False
    word_of_v: Tensor | None = None

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        head: Head,
        source: str,
        device: torch.device,
    ) -> Predictions:
        """For the model's own outputs.  Raises `ModelError` where it has none at each place."""
        if not head:
            raise no_predictions_error(model, source)
        words = _words(model, tokenizer, head)
        return cls(words, token_signs(words).to(device), head == "causal")

    @property
    def digest(self) -> str:
        """Of the words, in their order."""
        return hashlib.sha256("\0".join(self.words).encode(errors="surrogatepass")).hexdigest()

    @torch.inference_mode()
    def read(
        self, model: PreTrainedModel, inputs_bp: dict[str, Tensor], counted_bp: Tensor | None = None
    ) -> ModelReadout:
        """The predictions on a batch.  counted_bp: the places that count for the words' total
        probability, by default all but padding; nothing is computed of a place that doesn't, unless
        the next one does, whose token it predicts: its vector is 0.
        """
        mask_bp = inputs_bp["attention_mask"][:, -inputs_bp["input_ids"].shape[1] :]
        counted_bp = mask_bp if counted_bp is None else counted_bp.to(mask_bp.device)
        wanted_bp = (counted_bp | counted_bp.roll(-1, 1)).bool()
        with head_at(model, wanted_bp if (mask_bp.bool() & ~wanted_bp).any() else None):
            logits_bpv = token_logits(model, inputs_bp)
        flat_nv, shape = logits_bpv.flatten(0, 1), logits_bpv.shape[:2]
        next_n = inputs_bp["input_ids"].roll(-1, 1).flatten().clamp_min(0)
        counted_n = counted_bp.to(torch.float32).flatten()
        size = max(1, AT_ONCE // flat_nv.shape[1])
        vectors_nd = flat_nv.new_zeros(len(flat_nv), WIDTH)
        p_n = torch.full((len(flat_nv),), torch.nan)
        probability_w = torch.zeros(len(self.words), device=flat_nv.device)
        for at_t in torch.split(wanted_bp.flatten().nonzero().flatten(), size):
            p_tv = flat_nv[at_t].float().softmax(-1)
            p_tw = self.by_word(p_tv)
            vectors_nd[at_t] = self.vectors(p_tw).to(flat_nv.dtype)
            probability_w += counted_n[at_t] @ p_tw
            if self.next_token:
                p_n[at_t.cpu()] = p_tv.gather(1, next_n[at_t, None])[:, 0].cpu()
        nll_bp = torch.full(shape, torch.nan)
        nll_bp[:, 1:] = -p_n.view(shape)[:, :-1].clamp_min(TINY).log()
        return ModelReadout(vectors_nd.view(*shape, WIDTH), nll_bp, probability_w.cpu())

    def by_word(self, p_tv: Tensor) -> Tensor:
        """The probability of each word, shape (t, w), of the outputs', shape (t, v)."""
        if self.word_of_v is None:
            return p_tv
        p_tw = p_tv.new_zeros(len(p_tv), len(self.words))
        return p_tw.index_add_(1, self.word_of_v[: p_tv.shape[1]], p_tv)

    def vectors(self, p_tw: Tensor) -> Tensor:
        """Of the words' probabilities, shape (t, w), the vectors, shape (t, d)."""
        return p_tw.sqrt() @ self.signs_wd[: p_tw.shape[1]]

    def promoted_tokens(self, direction_d: Tensor) -> tuple[str, ...]:
        """The words that a direction makes likelier, the most first, as far as they stand out.

        Chance gives words that are not in it scores of deviation 1 / √WIDTH, of which the largest
        of v is hardly above √(2 log v) times that.
        """
        score_w = self.signs_wd @ direction_d.to(self.signs_wd.device)
        chance = (2 * math.log(len(score_w))) ** 0.5 + 0.5
        least = chance * float(direction_d.norm()) / WIDTH**0.5
        best = score_w.topk(min(CANDIDATE_TOKENS, len(score_w)))
        found = [
            self.words[i]
            for score, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            if score > least and self.words[i].strip()
        ]
        return tuple(dict.fromkeys(found))[:LISTED]


@contextlib.contextmanager
def head_at(model: PreTrainedModel, wanted_bp: Tensor | None) -> Iterator[None]:
    """Inside, the model's last linear map gives 0 at the places that aren't wanted, without
    computing anything there.  wanted_bp: None for all of them.
    """
    any_model: Any = model
    head = any_model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if wanted_bp is None or not isinstance(head, nn.Linear):
        yield
        return

    def at_places(_: int, compute: Compute) -> object:
        states_bpd, run = compute.args[0], compute.func
        if states_bpd.shape[:-1] != wanted_bp.shape:
            return compute()
        found_nv: Any = run(states_bpd[wanted_bp])
        made_bpv = found_nv.new_zeros(*wanted_bp.shape, found_nv.shape[-1])
        made_bpv[wanted_bp] = found_nv
        return made_bpv

    with intercepted([head], at_places):
        yield


def token_logits(model: PreTrainedModel, inputs_bp: dict[str, Tensor]) -> Tensor:
    """The model's logits at each place, shape (b, p, v): its `logits`, or `prediction_logits` of
    classes that have a second head.  Raises `ModelError` where it has none, and whatever the model
    raises (see `forward_pass.forward_errors`).
    """
    run: Any = model
    out = run(**supported_inputs(model, inputs_bp))
    return logits_in(out, type(model).__name__, inputs_bp["input_ids"].shape)


def logits_in(out: object, architecture: str, shape: torch.Size) -> Tensor:
    """The logits at each place in a model's output.  shape: of the token ids."""
    found = [getattr(out, name, None) for name in ("logits", "prediction_logits")]
    for logits in found:
        if not isinstance(logits, Tensor) or logits.dim() != len(shape) + 1:
            continue
        if logits.shape[:2] == shape:
            return logits
        raise ModelError(
            f"{architecture} predicts at {tuple(logits.shape[:2])} places, not at {tuple(shape)} "
            "(texts, positions)",
            remedy="compare a block instead of the output: crossdiff_layer = 0.5",
        )
    raise ModelError(f"{architecture} gives no logits at each place")


def no_predictions_error(model: PreTrainedModel, source: str) -> ModelError:
    """Of a model without a head, or one whose predictions need more than a text."""
    return ModelError(
        f"{type(model).__name__} predicts nothing at each place, or the weights that would are "
        "missing",
        source=source,
        remedy="compare a block instead of the output: crossdiff_layer = 0.5",
    )


def token_signs(words: Sequence[str]) -> Tensor:
    """The signs of each word, shape (w, d), divided by √d: the bits of its SHAKE128."""
    made_wb = np.empty((len(words), WIDTH // 8), dtype=np.uint8)
    for i, word in enumerate(words):
        digest = hashlib.shake_128(word.encode(errors="surrogatepass")).digest(WIDTH // 8)
        made_wb[i] = np.frombuffer(digest, dtype=np.uint8)
    bits_wd = torch.from_numpy(np.unpackbits(made_wb, axis=1))
    signs_wd: Tensor = bits_wd.float() * 2 - 1
    return signs_wd.div_(WIDTH**0.5)


def renaming(words: Sequence[str], names: Sequence[str]) -> Tensor:
    """What turns vectors of predictions in `words` into the same in `names`, shape (d, d).

    There may be at most as many words as a vector has numbers.
    """
    old_dw = torch.linalg.pinv(token_signs(words).double())
    renaming_dd: Tensor = old_dw @ token_signs(names).double()
    return renaming_dd.float()


def output_words(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The text of each output of a model that predicts tokens, in the order of its logits."""
    return _words(model, tokenizer, "causal")


def _words(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, head: Head
) -> tuple[str, ...]:
    """The word of each output."""
    any_model: Any = model
    if head == "tags":
        names = any_model.config.id2label
        return tuple(names[i] for i in range(len(names)))
    embeddings = any_model.get_output_embeddings()
    size = any_model.config.vocab_size if embeddings is None else len(embeddings.weight)
    known = min(size, len(tokenizer))
    return (*token_texts(tokenizer, known), *(f"<{i}>" for i in range(known, size)))
