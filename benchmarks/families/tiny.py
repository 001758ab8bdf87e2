"""A tiny config of any family of transformers."""

from __future__ import annotations

import dataclasses
from copy import deepcopy
from typing import Any

from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.families.exceptions import BY_CONFIG, BY_FAMILY, DECODERS, EQUALLY_DEEP
from benchmarks.families.sizes import SIZES

IDS = {"pad_token_id": 0, "bos_token_id": 1, "mask_token_id": 4}
IDS |= dict.fromkeys(("eos_token_id", "decoder_start_token_id", "sep_token_id", "cls_token_id"), 2)
_TOWERS = "Vision Audio QFormer Encoder Perceiver VQ Speech Codec Talker Depth Code2Wav Token2Wav"
TOWERS = (*_TOWERS.split(), "Tower", "Sam", "Resampler")
DEPTHS = ("num_hidden_layers", "depth", "num_layers", "n_layers", "layers", "encoder_layers")
TOWER_DEPTH = 3
FIRST_PLACEHOLDER, PLACEHOLDERS = 481, 30
REQUIRED = ("num_hidden_layers", "hidden_size")


def tiny_config(family: str, architecture: str) -> PretrainedConfig:
    """A config of `family` for the class called `architecture`."""
    extra = dict(BY_FAMILY.get(family, {}))
    causal = architecture.endswith(("CausalLM", "LMHeadModel", "WithLMHead"))
    if causal and family in DECODERS:
        extra["is_decoder"] = True
    if architecture.endswith("CausalLM") and family in EQUALLY_DEEP:
        prefix = "num_" if family == "prophetnet" else ""
        extra |= {f"{prefix}encoder_layers": 4, f"{prefix}decoder_layers": 4}
    return _tiny(CONFIG_MAPPING[family], extra, [0])


def _tiny(kind: Any, extra: dict[str, Any], used: list[int]) -> PretrainedConfig:  # noqa: ANN401
    try:
        default = kind()
    except Exception:  # noqa: BLE001  some configs need arguments
        default = None
    parts = dict(kind.sub_configs or {})
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        usual = _usual(default, field)
        if not isinstance(usual, (bool, PretrainedConfig)) and field.name not in {
            *parts, "text_config", "vision_config",
        }:  # fmt: skip
            values |= _value(kind.__name__, field.name, usual, used)
    for name, part in parts.items():
        have = getattr(default, name, None)
        if isinstance(have, PretrainedConfig):
            values[name] = _tiny(type(have), {}, used)
        elif part.__name__ != "AutoConfig" and default is None:
            values[name] = _tiny(part, {}, used)
    if "qk_rope_head_dim" in values and "head_dim" in values:
        values["head_dim"] = values["qk_rope_head_dim"]
    if "kv_lora_rank" in values and "num_attention_heads" in values:
        values["num_key_value_heads"] = values["num_attention_heads"]
    values |= {**deepcopy(BY_CONFIG.get(kind.__name__, {})), **extra}
    made: PretrainedConfig = kind(**values)
    return made


def _usual(default: PretrainedConfig | None, field: dataclasses.Field[Any]) -> Any:  # noqa: ANN401
    try:
        return field.default if default is None else getattr(default, field.name, field.default)
    except Exception:  # noqa: BLE001  attributes of each layer
        return field.default


def _value(kind: str, name: str, usual: object, used: list[int]) -> dict[str, Any]:
    if name in IDS:
        return {name: IDS[name]}
    placeholder = name in {
        f"{what}_token_{how}" for what in ("image", "audio", "video") for how in ("id", "index")
    }
    beyond = name.endswith(("_id", "_token_index")) and isinstance(usual, int) and usual >= 480
    if placeholder or beyond:
        used[0] += 1
        return {name: FIRST_PLACEHOLDER + (used[0] - 1) % PLACEHOLDERS}
    if name not in SIZES:
        return {}
    size = SIZES[name]
    if name in DEPTHS and any(tower in kind for tower in TOWERS):
        size = TOWER_DEPTH
    if isinstance(usual, int) or (usual is None and name in REQUIRED):
        return {name: size}
    return {name: float(size)} if isinstance(usual, float) and size and usual > 4 else {}
