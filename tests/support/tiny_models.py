"""Tiny models of many families with random weights, and tokenizers for them, made on the spot."""

import functools

import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers

VOCABULARY = 64
PLAIN = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64}
PLAIN |= {"num_hidden_layers": 4, "num_attention_heads": 4}
GROUPED = {**PLAIN, "num_key_value_heads": 2}
SHORT = {**PLAIN, "max_position_embeddings": 64}
GPT = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64}
GPT |= {"bos_token_id": 0, "eos_token_id": 0}
NO_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

# family: where its blocks are, class of its config, the config
FAMILIES = {
    "llama": ("model.layers", "LlamaConfig", GROUPED),
    "qwen2": ("model.layers", "Qwen2Config", GROUPED),
    "qwen3": ("model.layers", "Qwen3Config", {**GROUPED, "head_dim": 8}),
    "qwen3_moe": (
        "model.layers",
        "Qwen3MoeConfig",
        {**GROUPED, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2}
        | {"moe_intermediate_size": 16},
    ),
    "gemma2": ("model.layers", "Gemma2Config", {**GROUPED, "head_dim": 8, "sliding_window": 8}),
    "gemma3": ("model.layers", "Gemma3TextConfig", {**GROUPED, "head_dim": 8, "sliding_window": 8}),
    "mistral": ("model.layers", "MistralConfig", GROUPED),
    "mixtral": ("model.layers", "MixtralConfig", {**GROUPED, "num_local_experts": 4}),
    "phi": ("model.layers", "PhiConfig", PLAIN),
    "phi3": ("model.layers", "Phi3Config", {**GROUPED, "pad_token_id": 0}),
    "gpt2": ("transformer.h", "GPT2Config", GPT),
    "gptj": ("transformer.h", "GPTJConfig", {**GPT, "rotary_dim": 4}),
    "gpt_neox": ("gpt_neox.layers", "GPTNeoXConfig", PLAIN),
    "bloom": ("transformer.h", "BloomConfig", {**PLAIN, "n_layer": 4, "n_head": 4}),
    "falcon": ("transformer.h", "FalconConfig", PLAIN),
    "opt": (
        "model.decoder.layers",
        "OPTConfig",
        {**SHORT, "ffn_dim": 64, "word_embed_proj_dim": 32},
    ),
    "mamba": ("backbone.layers", "MambaConfig", {**PLAIN, "state_size": 4}),
    "jamba": (
        "model.layers",
        "JambaConfig",
        {**GROUPED, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2}
        | {"use_mamba_kernels": False, "mamba_d_state": 4, "mamba_dt_rank": 4},
    ),
    "bert": ("encoder.layer", "BertConfig", SHORT),
    "roberta": ("encoder.layer", "RobertaConfig", SHORT),
    "mpnet": ("encoder.layer", "MPNetConfig", SHORT),
    "electra": ("encoder.layer", "ElectraConfig", {**SHORT, "embedding_size": 32}),
    "deberta": ("encoder.layer", "DebertaV2Config", SHORT),
    "modernbert": ("layers", "ModernBertConfig", {**PLAIN, **NO_IDS}),
    "distilbert": (
        "transformer.layer",
        "DistilBertConfig",
        {"vocab_size": VOCABULARY, "dim": 32, "hidden_dim": 64, "n_layers": 4, "n_heads": 4},
    ),
}
ENCODERS = ("bert", "roberta", "mpnet", "electra", "deberta", "modernbert", "distilbert")


@functools.cache
def make(family, seed=0):
    """A model of `family`, the same in every call: don't change it."""
    _, config, settings = FAMILIES[family]
    kind = tf.AutoModel if family in ENCODERS else tf.AutoModelForCausalLM
    return build(kind, getattr(tf, config)(**settings), seed)


def build(kind, config, seed=0):
    torch.manual_seed(seed)
    model = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    return model.eval()


def tagger(folder, names, order=None):
    """A saved BERT that gives tokens one of three tags: `names`, of which the i-th stands for the
    tag `order[i]` of the model with the order 0, 1, 2.
    """
    config = tf.BertConfig(
        **FAMILIES["bert"][2],
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
    )
    model = build(tf.BertForTokenClassification, config)
    with torch.no_grad():
        for of in (model.classifier.weight, model.classifier.bias):
            of.normal_(generator=torch.Generator().manual_seed(1))
            of.copy_(of[list(order or range(len(names)))].clone())
    return save(model, folder)


def make_tokenizer(length=10**30):
    """A fast tokenizer of single letters."""
    letters = {chr(ord("a") + i): i for i in range(26)} | {"[UNK]": 26, "[PAD]": 27}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", model_max_length=length
    )


def save(model, folder, tokenizer=None):
    """A folder that `from_pretrained` reads."""
    model.save_pretrained(folder)
    (tokenizer or make_tokenizer()).save_pretrained(folder)
    return folder


def batch(texts=2, positions=7, seed=1):
    """Token ids and a mask without padding, each (texts, positions)."""
    generator = torch.Generator().manual_seed(seed)
    ids_bp = torch.randint(3, VOCABULARY, (texts, positions), generator=generator)
    return ids_bp, torch.ones_like(ids_bp)
