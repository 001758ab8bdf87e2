"""What a model predicts at each place, as a vector that a dictionary can read.

p are the model's probabilities at a place: of the next token, or of the tags of this one. The
vector is √p, in which the distance of two predictions is Hellinger's: a prediction that changes
wholly goes as far as any can, whatever the hidden state did, and the many tokens that neither model
would ever say hardly count. It is as long as the vocabulary, so it is brought to `WIDTH` numbers by
signs drawn at random, which keeps lengths and angles to about one in √WIDTH (Johnson and
Lindenstrauss). The signs of a token hang on its text: two vocabularies give it the same.

Axes: b texts of a batch, p places, t places of a block, v outputs, d width.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pytest_crossdiff.engine.models.blocks import supported_inputs
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_crossdiff.engine.models.loading import Head

WIDTH = 512
AT_ONCE = 2**24
"""Probabilities that are held at once."""
TINY = 1e-30
"""The least probability that a surprise is told from."""
LISTED, CANDIDATE_TOKENS = 8, 64
"""Words that are named, and among how many."""


class ModelReadout(NamedTuple):
    """Predictions on a batch: vectors, shape (b, p, d), in the number type of the logits, and how
    little the text's own tokens were expected, -log p in nats, shape (b, p), on the CPU: NaN for
    each text's first, and where the next token isn't what is predicted.
    """

    vectors_bpd: Tensor
    nll_bp: Tensor


class Predictions(NamedTuple):
    """words: what each output stands for, a token or a tag.  signs_vd: of each, 1 / √WIDTH long.
    next_token: whether it is the token behind each place that is predicted.
    """

    words: Sequence[str]
    signs_vd: Tensor
    next_token: bool = False

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
            raise no_predictions_error(type(model).__name__, source)
        words = _words(model, tokenizer, head)
        return cls(words, token_signs(words).to(device), head == "causal")

    @property
    def digest(self) -> str:
        """Of the words, in their order."""
        return hashlib.sha256("\0".join(self.words).encode(errors="surrogatepass")).hexdigest()

    @torch.inference_mode()
    def read(self, model: PreTrainedModel, inputs_bp: dict[str, Tensor]) -> ModelReadout:
        """The predictions on a batch."""
        run: Any = model
        logits_bpv: Tensor = run(**supported_inputs(model, inputs_bp)).logits
        flat_nv, shape = logits_bpv.flatten(0, 1), logits_bpv.shape[:2]
        next_n = inputs_bp["input_ids"].roll(-1, 1).flatten()
        size = max(1, AT_ONCE // flat_nv.shape[1])
        made, said = [], []
        for at in range(0, len(flat_nv), size):
            p_tv = flat_nv[at : at + size].float().softmax(-1)
            made.append(self.vectors(p_tv))
            if self.next_token:
                said.append(p_tv.gather(1, next_n[at : at + size, None])[:, 0])
        nll_bp = torch.full(shape, torch.nan)
        if said:
            p_bp = torch.cat(said).view(shape)
            nll_bp[:, 1:] = -p_bp[:, :-1].clamp_min(TINY).log().cpu()
        return ModelReadout(torch.cat(made).to(logits_bpv.dtype).view(*shape, WIDTH), nll_bp)

    def vectors(self, p_tv: Tensor) -> Tensor:
        """Of probabilities, shape (t, v), the vectors, shape (t, d)."""
        return p_tv.sqrt() @ self.signs_vd[: p_tv.shape[1]]

    def promoted_tokens(self, direction_d: Tensor) -> tuple[str, ...]:
        """The words that a direction makes likelier, the most first, as far as they stand out.

        Chance gives words that are not in it scores of deviation 1 / √WIDTH, of which the largest
        of v is hardly above √(2 log v) times that.
        """
        score_v = self.signs_vd @ direction_d.to(self.signs_vd.device)
        chance = (2 * math.log(len(score_v))) ** 0.5 + 0.5
        least = chance * float(direction_d.norm()) / WIDTH**0.5
        best = score_v.topk(min(CANDIDATE_TOKENS, len(score_v)))
        found = [
            self.words[i]
            for score, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            if score > least and self.words[i].strip()
        ]
        return tuple(dict.fromkeys(found))[:LISTED]


def no_predictions_error(architecture: str, source: str) -> ModelError:
    """Of a model without a head."""
    return ModelError(
        f"{architecture} predicts nothing at each place, or the weights that would are missing",
        source=source,
        remedy="compare a block instead of the output: crossdiff_layer = 0.5",
    )


def token_signs(words: Sequence[str]) -> Tensor:
    """The signs of each word, shape (v, d), divided by √d: the bits of its SHAKE128."""
    made_vb = np.empty((len(words), WIDTH // 8), dtype=np.uint8)
    for i, word in enumerate(words):
        digest = hashlib.shake_128(word.encode(errors="surrogatepass")).digest(WIDTH // 8)
        made_vb[i] = np.frombuffer(digest, dtype=np.uint8)
    bits_vd = torch.from_numpy(np.unpackbits(made_vb, axis=1))
    signs_vd: Tensor = bits_vd.float() * 2 - 1
    return signs_vd.div_(WIDTH**0.5)


def _words(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, head: Head
) -> tuple[str, ...]:
    any_model: Any = model
    if head == "tags":
        names = any_model.config.id2label
        return tuple(names[i] for i in range(len(names)))
    embeddings = any_model.get_output_embeddings()
    size = any_model.config.vocab_size if embeddings is None else len(embeddings.weight)
    known = min(size, len(tokenizer))
    decoded = tokenizer.batch_decode([[i] for i in range(known)], skip_special_tokens=False)
    raw = tokenizer.convert_ids_to_tokens(list(range(known)))
    words = [
        text if text and "\ufffd" not in text else str(token)
        for text, token in zip(decoded, raw, strict=True)
    ]
    return (*words, *(f"<{i}>" for i in range(known, size)))
