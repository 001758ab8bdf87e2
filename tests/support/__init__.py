"""What tests of several packages share: models, texts and results made for them, and processes."""

import os

# Before anything imports huggingface_hub: models that exist nowhere are not looked for on the hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
