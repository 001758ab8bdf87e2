"""GGUF files, read as llama.cpp reads them: what transformers leaves out is seen in the header and
set in the config (scaled positions), the model (rotary frequencies) and the tokenizer, or refused.
"""
