"""How large the parts of a tiny model are, by the names that configs give them.

The model's vocabulary has 512 tokens, the tokenizer's 480: identifiers of pictures and sounds lie
between.
"""

from __future__ import annotations

from typing import Any

VOCABULARY = 512
_NAMES: dict[int | None, str] = {
    32: (
        "hidden_size d_model n_embd "
        "emb_dim dim embed_dim "
        "embedding_size word_embed_proj_dim entity_vocab_size "
        "lru_width image_size out_hidden_size "
        "output_dim projection_dim encoder_hidden_size "
        "mm_hidden_size text_hidden_size projector_hidden_size "
        "projection_hidden_size projector_input_dim projector_output_dim "
        "backbone_hidden_size vision_hidden_size decoder_hidden_size "
        "adapter_out_dim adapter_in_dim output_proj_dims "
        "thinker_hidden_size output_embedding_size pronunciation_vocab_size "
        "shape_vocab_size hidden_size_global embedding_dim "
        "prediction_head_size adapter_hidden_size base_channels "
        "t2u_encoder_ffn_dim t2u_decoder_ffn_dim upsample_initial_channel "
        "unit_hifi_gan_intermediate dim_model_base d_latents "
        "pooler_hidden_size alignment_intermediate_size projection_intermediate_size "
        "projection_hidden_dim "
    ),
    48: (
        "intermediate_size encoder_ffn_dim decoder_ffn_dim "
        "ffn_dim d_ff dim_ff "
        "dff hidden_dim n_inner "
        "d_inner ffn_hidden_size expert_ffn_hidden_size "
        "dense_intermediate_size intermediate_size_mlp feed_forward_size "
        "mlp_dim ff_dim prefix_dense_intermediate_size "
        "speech_encoder_intermediate_size "
    ),
    16: (
        "moe_intermediate_size shared_expert_intermediate_size shared_intermediate_size "
        "moe_shared_expert_intermediate_size shared_experts_intermediate_size share_expert_dim "
        "moe_hidden_size global_head_dim qk_head_dim "
        "q_lora_rank index_n_heads entity_emb_size "
        "mamba_d_head mamba_headdim num_mel_bins "
        "router_hidden_size rel_extent input_embedding_size "
        "pronunciation_embed_dim shape_embed_dim residual_channels "
        "num_position_embeddings embedding_rank latent_channels "
        "feature_projection_input_dim unit_embed_dim num_latents "
        "intra_bottleneck_size image_text_hidden_size prompt_mid_dim "
        "downsample_hidden_size input_dim context_size "
    ),
    4: (
        "num_attention_heads n_head n_heads "
        "num_heads encoder_attention_heads decoder_attention_heads "
        "attention_heads num_encoder_attention_heads num_decoder_attention_heads "
        "swa_num_attention_heads num_sliding_attention_heads num_hidden_layers "
        "n_layer n_layers num_layers "
        "decoder_layers num_decoder_layers layers "
        "num_local_experts num_experts n_routed_experts "
        "moe_num_experts mamba_n_heads mamba_num_heads "
        "mamba_dt_rank time_step_rank linear_num_value_heads "
        "linear_num_heads num_query_tokens global_block_size "
        "compress_ratio max_window_layers mm_tokens_per_image "
        "image_seq_length vision_soft_tokens_per_image audio_soft_tokens_per_image "
        "conf_num_attention_heads pos_emb_height pos_emb_width "
        "speech_encoder_attention_heads t2u_encoder_attention_heads t2u_decoder_attention_heads "
        "resampler_n_latents prompt_length num_hash "
        "num_mem_heads "
    ),
    2: (
        "num_key_value_heads swa_num_key_value_heads kv_n_heads "
        "o_groups num_experts_per_tok moe_topk "
        "moe_k moe_top_k top_k_experts "
        "zero_expert_num n_mamba_heads linear_num_key_heads "
        "intermediate_multiple_size type_vocab_size mlp_ratio "
        "split_ngram_parts heads_per_ngram conf_num_hidden_layers "
        "speech_encoder_layers resampler_n_heads index_topk_blocks "
    ),
    8: (
        "head_dim d_kv d_head "
        "kv_channels attention_head_size dim_head "
        "swa_head_dim attention_head_dim v_head_dim "
        "qk_rope_head_dim qk_nope_head_dim kv_lora_rank "
        "o_lora_rank rotary_dim index_head_dim "
        "hidden_size_per_layer_input laurel_rank sliding_window "
        "attention_window_size window_size local_attention "
        "attention_chunk_size sliding_window_size keep_window_size "
        "state_size mamba_d_state ssm_state_size "
        "mamba_head_dim mamba_chunk_size chunk_size "
        "linear_key_head_dim linear_value_head_dim linear_head_dim "
        "patch_size adapter_rank d_rel "
        "hc_lowrank block_size attention_window "
        "ple_embed_dim lang_embed_dim spkr_embed_dim "
        "query_pre_attn_scalar hidden_size_per_layer resampler_head_dim "
        "index_block_size "
    ),
    64: (
        "index_topk codebook_vocab_size max_source_positions "
        "mamba_d_ssm ngram_vocab_size_base position_embedding_size "
        "original_max_position_embeddings encoder_hash_byte_group_vocab codebook_size "
        "num_embeddings t2u_vocab_size unit_hifi_gan_vocab_size "
        "char_vocab_size num_hash_buckets max_pos_emb "
        "expert_capacity "
    ),
    3: (
        "encoder_layers num_encoder_layers depth "
        "vision_layers num_channels task_type_vocab_size "
        "conv_L_cache hash_code_len "
    ),
    1: (
        "n_group topk_group n_shared_experts "
        "num_shared_experts moe_num_shared_experts first_k_dense_replace "
        "mamba_n_groups n_groups mamba_ngroups "
        "num_random_blocks num_memory_blocks num_res_blocks "
        "t2u_encoder_layers t2u_decoder_layers num_sparse_encoder_layers "
        "num_sparse_decoder_layers "
    ),
    512: (
        "vocab_size vocab_size_per_layer_input src_vocab_size "
        "tgt_vocab_size decoder_vocab_size audio_vocab_size "
        "unpadded_vocab_size "
    ),
    256: (
        "max_position_embeddings n_positions n_ctx max_seq_len max_target_positions context_length "
    ),
    None: ("attention_hidden_size "),
    0: ("additional_vocab_size mem_len num_kv_shared_layers "),
    7: ("local_radius "),
    160: ("hop_length "),
    5: ("num_labels "),
}

SIZES: dict[str, Any] = {name: size for size, names in _NAMES.items() for name in names.split()}
