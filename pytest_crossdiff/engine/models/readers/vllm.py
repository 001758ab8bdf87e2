"""vLLM as a reader, by its export of hidden states (`extract_hidden_states`, vLLM 0.18 and newer).

Its layer i is the residual stream after i blocks.  Chunked prefill and prefix caching are switched
off: public reports have hidden states go wrong with the one, and the other leaves tokens out.
Source: docs.vllm.ai, "Hidden State Extraction".
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.models.sources.references import ModelReference


def not_importable(why: str) -> ModelError:
    """What is said where vLLM is not installed."""
    return ModelError(
        f"vllm can't be imported: {why}",
        source="crossdiff_reader",
        remedy='pip install "vllm>=0.18", or set crossdiff_reader = transformers',
    )


class VllmReader:
    """An engine of vLLM in this process.  Raises `ModelError` where there is none."""

    name, chunk = "vllm", 0

    def __init__(self, reference: ModelReference, layer: int, dtype: str, longest: int) -> None:
        if reference.kind not in ("local", "hub"):
            raise ModelError(
                f"vllm reads no {reference.kind} model here",
                source="crossdiff_reader",
                remedy="set crossdiff_reader = transformers",
            )
        try:
            from vllm import LLM, SamplingParams  # type: ignore[import-not-found]
            from vllm.config.kv_transfer import (  # type: ignore[import-not-found]
                KVTransferConfig,
            )
        except ImportError as error:
            raise not_importable(str(error)) from error
        self._folder = tempfile.TemporaryDirectory(prefix="crossdiff-vllm-")
        self._sampling: Any = SamplingParams(max_tokens=1)
        config = {"eagle_aux_hidden_state_layer_ids": [layer + 1]}
        self._engine: Any = LLM(
            model=reference.location,
            revision=reference.revision,
            dtype=dtype,
            max_model_len=longest + 1,  # and the token that is written
            enable_chunked_prefill=False,
            max_num_batched_tokens=max(longest + 1, 8_192),
            enable_prefix_caching=False,
            speculative_config={
                "method": "extract_hidden_states",
                "num_speculative_tokens": 1,
                "draft_model_config": {"hf_config": config},
            },
            kv_transfer_config=KVTransferConfig(
                kv_connector="ExampleHiddenStatesConnector",
                kv_role="kv_producer",
                kv_connector_extra_config={"shared_storage_path": self._folder.name},
            ),
        )

    def read(self, texts: Sequence[Tensor]) -> list[Tensor]:
        prompts = [{"prompt_token_ids": ids.tolist()} for ids in texts]
        outputs = self._engine.generate(prompts, self._sampling, use_tqdm=False)
        return [_vectors(output, ids) for output, ids in zip(outputs, texts, strict=True)]

    def close(self) -> None:
        self._engine = None
        self._folder.cleanup()


def _vectors(output: Any, ids_p: Tensor) -> Tensor:  # noqa: ANN401  of vLLM
    """What was written for a text; the file goes."""
    path = Path(output.kv_transfer_params["hidden_states_path"])
    try:
        from vllm.distributed.kv_transfer.kv_connector.v1 import (  # type: ignore[import-not-found]
            example_hidden_states_connector,
        )

        load = getattr(example_hidden_states_connector, "load_hidden_states", load_file)
    except ImportError:  # of versions that only write
        load = load_file
    found = load(str(path))
    states, tokens = found["hidden_states"], torch.as_tensor(found["token_ids"])
    if not torch.equal(tokens.cpu().long()[: len(ids_p)], ids_p.cpu().long()):
        raise ModelError("vllm wrote the hidden states of another text", source="crossdiff_reader")
    for written in (path, Path(f"{path}.lock")):
        written.unlink(missing_ok=True)
    vectors_pd: Tensor = states[: len(ids_p), 0].cpu()
    return vectors_pd
