"""What single configs need besides, to be consistent when they are tiny.

This concerns how the test models are built, not how they are read.
"""

from __future__ import annotations

from typing import Any

SECTIONED_POSITIONS = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [1, 1, 2],
    }
}
"""Rotary positions in sections: time, height and width of a picture."""

BY_CONFIG: dict[str, dict[str, Any]] = {
    "HunYuanDenseV1Config": {"head_dim": 8},
    "HunYuanMoEV1Config": {"head_dim": 8},
    "LiltConfig": {"hidden_size": 48},
    "LayoutLMv3Config": {"coordinate_size": 4, "shape_size": 8},
    "MinistralConfig": {"head_dim": 8},
    "Dots1Config": {
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    },
    "DbrxConfig": {"attn_config": {"rope_theta": 10000.0, "kv_n_heads": 2, "clip_qkv": 8}},
    "DeepseekV2Config": {"num_experts_per_tok": 2, "topk_method": "greedy"},
    "DiffusionGemmaTextConfig": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 16},
    "DeepseekOcr2TextConfig": {
        "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"],
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
    },
    "Ernie4_5_VLMoeTextConfig": {
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 500000.0,
            "mrope_section": [1, 1, 2],
        }
    },
    "Dots3NoteTextConfig": {"num_key_value_heads": 4},
    "Qwen4ExpTextConfig": {
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 8,
        "indexer_compress_ratio": 2,
    },
    "NeoMMEConfig": {"head_dim": 16},
    "Qwen2VLTextConfig": SECTIONED_POSITIONS,
    "Qwen2_5_VLTextConfig": SECTIONED_POSITIONS,
    "Qwen2_5OmniTextConfig": SECTIONED_POSITIONS,
    "PaddleOCRTextConfig": SECTIONED_POSITIONS,
    "Qwen2_5OmniThinkerConfig": {"vision_start_token_id": 490, "vision_end_token_id": 491},
    "Qwen3OmniMoeThinkerConfig": {"vision_start_token_id": 490, "vision_end_token_id": 491},
    "Step3p7TextConfig": {"sliding_window": 8},
    "Glm46VTextConfig": SECTIONED_POSITIONS,
    "Glm4vTextConfig": SECTIONED_POSITIONS,
    "GlmOcrTextConfig": SECTIONED_POSITIONS,
    "Glm4vMoeTextConfig": {
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.5,
            "mrope_section": [1, 1, 0],
        }
    },
    "HunYuanVLTextConfig": {
        "head_dim": 8,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [1, 1, 1, 1],
        },
    },
    "Granite4VisionConfig": {
        "spatial_target_layers": [0],
        "deepstack_layer_map": [[-1, 0]],
        "downsample_rate": "1/2",
    },
    "ChameleonConfig": {"vocabulary_map": {"<image>": 481}},
    "Emu3Config": {"vocabulary_map": {"<image>": 481}},
    "Molmo2VisionConfig": {"num_hidden_layers": 25},
    "NemotronH_Omni_Reasoning_V3_VisionConfig": {"video_temporal_patch_size": 2},
    "MuseSparkAudioConfig": {"num_hidden_layers": 4},
    "Cosmos3EdgeTextConfig": {
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1000000.0,
            "mrope_section": [2, 1, 1],
        }
    },
    "CohereCompassTextConfig": {
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "default", "rope_theta": 10000.0},
        }
    },
    "NemotronConfig": {"num_key_value_heads": 2},
    "Mamba2Config": {"num_heads": 8, "head_dim": 8},
    "ZayaConfig": {"num_experts_per_tok": 1},
    "EsmConfig": {"vocab_size": 512},
    "EsmcConfig": {"num_key_value_heads": 4},
    "GPTNeoConfig": {"attention_types": [[["global", "local"], 2]]},
    "Lfm2MoeConfig": {
        "layer_types": ["conv", "conv", "full_attention", "conv"],
        "num_dense_layers": 1,
    },
    "Glm5NextTextConfig": {"num_key_value_heads": 4, "index_kpool": 2, "qk_rope_head_dim": 0},
    "Gemma3nTextConfig": {
        "intermediate_size": [48, 48, 48, 48],
        "activation_sparsity_pattern": [0.95, 0.95, 0.0, 0.0],
        "num_kv_shared_layers": 0,
        "layer_types": [
            "sliding_attention",
            "full_attention",
            "sliding_attention",
            "full_attention",
        ],
    },
    "Zamba2Config": {
        "num_hidden_layers": 4,
        "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
    },
    "ZambaConfig": {"num_hidden_layers": 6, "attn_layer_period": 2, "attn_layer_offset": 1},
    "JambaConfig": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "ReformerConfig": {
        "axial_pos_embds": False,
        "attn_layers": ["local", "lsh", "local", "lsh"],
        "num_hidden_layers": 4,
        "num_buckets": 4,
        "local_attn_chunk_length": 8,
        "lsh_attn_chunk_length": 8,
        "hash_seed": 0,  # without one each pass hashes otherwise, and the model is refused
    },
}

BY_FAMILY: dict[str, dict[str, Any]] = {
    "xmod": {"default_language": "en_XX"},
    "granitemoehybrid": {
        "layer_types": ["linear_attention", "full_attention", "linear_attention", "full_attention"]
    },
    "bamba": {"attn_layer_indices": [1]},
    "kimi_linear": {
        "layer_types": ["linear_attention", "full_attention", "linear_attention", "full_attention"]
    },
    "bailing_hybrid": {"layer_group_size": 2},
}

DECODERS = frozenset(
    [
        "bert",
        "bert-generation",
        "big_bird",
        "camembert",
        "data2vec-text",
        "electra",
        "ernie",
        "megatron-bert",
        "reformer",
        "rembert",
        "roberta",
        "roberta-prelayernorm",
        "roc_bert",
        "roformer",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    ]
)
"""Families whose causal classes need `is_decoder`."""
EQUALLY_DEEP = frozenset(
    [
        "bart",
        "bigbird_pegasus",
        "blenderbot",
        "blenderbot-small",
        "marian",
        "mbart",
        "mvp",
        "pegasus",
        "plbart",
        "prophetnet",
        "whisper",
    ]
)
"""Families whose causal classes count the encoder's blocks."""
ALIASES = frozenset(
    [
        "deepseek_ocr2",
        "dots3_note",
        "emu3",
        "glm5_next",
        "llama4",
        "mllama",
        "musicgen",
        "musicgen_melody",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen4_exp",
    ]
)
"""Families whose class belongs to their text config, which is listed by itself."""
