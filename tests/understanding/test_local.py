from __future__ import annotations

import json

import pytest

from sedic.semantics import Limits
from sedic.understanding.checkpoints import ModelError, models_in
from sedic.understanding.words.conversation import TextualizeError, Turn, shrink
from sedic.understanding.words.endpoints import read_endpoint
from sedic.understanding.words.local import load_local, types
from sedic.understanding.words.memory import AnswerCache
from sedic.understanding.words.textualize import provider_of, textualize

from .asking import IMAGE
from .chat_server import GOOD
from .small_vlm import llava, qwen


@pytest.fixture(scope="module")
def small_llava(tmp_path_factory):
    """A folder of a small LLaVA that answers well, with prose around the JSON."""
    return llava(tmp_path_factory.mktemp("LLM") / "small-llava", f"Here you are: {json.dumps(GOOD)}")


@pytest.fixture(scope="module")
def small_qwen(tmp_path_factory):
    """A folder of a small random Qwen2-VL."""
    return qwen(tmp_path_factory.mktemp("LLM") / "small-qwen")


@pytest.fixture
def no_network(monkeypatch):
    """Fails a test that asks the network."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.socket.connect", refuse)


def test_a_llava_folder_describes_a_picture_from_local_files(small_llava, no_network):
    found = textualize(IMAGE, load_local(small_llava))
    assert [(o.name, o.detail) for o in found.objects] == [("red barn", "weathered boards"), ("pond", "")]
    assert found.overall == GOOD["overall"]


def test_the_model_sees_the_whole_question_and_the_picture_once(small_llava, monkeypatch):
    local = load_local(small_llava)
    seen = []
    generate = local.model.generate
    monkeypatch.setattr(local.model, "generate", lambda **inputs: seen.append(inputs) or generate(**inputs))
    turns = [Turn("user", "first question"), Turn("assistant", "an answer"), Turn("user", "mend it")]
    local.answer(shrink(IMAGE), turns, 0, 8, lambda: None)
    text = local.processor.batch_decode(seen[0]["input_ids"])[0]
    places = [text.index(turn.text) for turn in turns]
    assert places == sorted(places)
    assert seen[0]["pixel_values"].shape[0] == 1
    assert (seen[0]["do_sample"], seen[0]["max_new_tokens"]) == (False, 8)


def test_a_qwen_folder_is_asked_and_its_nonsense_told(small_qwen, no_network):
    local = load_local(small_qwen)
    short = Limits(1, 1, 1, 1)
    with pytest.raises(TextualizeError, match="The local model 'small-qwen' did not answer in the form asked for"):
        textualize(IMAGE, local, short)


def test_a_model_that_never_stops_is_stopped_and_says_the_same_again_unless_asked_for_other_words(small_qwen):
    local = load_local(small_qwen)
    first, again, other, others_again, another = (
        local.answer(shrink(IMAGE), [Turn("user", "What?")], seed, 12, lambda: None) for seed in (0, 0, 1, 1, 2)
    )
    assert first == again
    assert other == others_again
    assert len({first, other, another}) == 3


def test_waiting_for_a_local_model_ends_when_it_is_watched(small_qwen):
    words = []

    def watch():
        words.append(1)
        if len(words) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_local(small_qwen).answer(shrink(IMAGE), [Turn("user", "What?")], 0, 1000, watch)
    assert len(words) == 5


def test_a_profile_may_name_a_folder(small_llava, tmp_path):
    path = tmp_path / "endpoints.toml"
    path.write_text(f'[here]\nfolder = "{small_llava}"\n[beside]\nfolder = "vlm"\n[home]\nfolder = "~/vlm"\n')
    assert textualize(IMAGE, provider_of(read_endpoint("here", path))).overall == GOOD["overall"]
    assert read_endpoint("beside", path).folder == tmp_path / "vlm"
    assert "~" not in str(read_endpoint("home", path).folder)


@pytest.mark.filterwarnings("ignore:These words were asked for earlier")
def test_an_answer_is_kept_until_the_folder_changes(small_llava, tmp_path):
    local = load_local(small_llava)
    memory = AnswerCache(tmp_path)
    first = textualize(IMAGE, local, memory=memory)
    loaded, local.model = local.model, None  # cannot be asked
    assert textualize(IMAGE, local, memory=memory) == first
    local.model = loaded
    before = local.identity
    (small_llava / "config.json").touch()
    assert local.identity != before


def test_folders_are_listed_also_in_folders_of_folders(small_llava, tmp_path):
    assert models_in(small_llava.parent, types(), files=False) == ["small-llava"]
    for name in ("plain", "Qwen-VL/inner", "Qwen-VL/too/deep"):
        (tmp_path / name).mkdir(parents=True)
        copy(small_llava, tmp_path / name)
    (tmp_path / "file.safetensors").write_bytes(b"")
    assert models_in(tmp_path, types(), files=False, depth=2) == ["Qwen-VL/inner", "plain"]


def copy(folder, target, without=()):
    for file in folder.iterdir():
        if file.name not in without:
            (target / file.name).write_bytes(file.read_bytes())
    return target


def test_what_is_missing_is_told(small_llava, tmp_path):
    with pytest.raises(ModelError, match=r"model SmolVLM is not in .*; get it from huggingface\.co.*or type the words"):
        load_local(tmp_path / "SmolVLM")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match=r"no vision-language model .*\(model_type: bert\)"):
        load_local(tmp_path)


@pytest.mark.parametrize(
    ("without", "told"),
    [
        ("model.safetensors", "cannot be read as vision-language model"),
        ("tokenizer.json", "cannot be read|no processor"),
        ("chat_template.jinja", "no chat template"),
        ("processor_config.json", "cannot be read|no processor"),
    ],
)
def test_a_folder_that_is_not_whole_is_told(small_llava, tmp_path, without, told):
    names = {"chat_template.jinja": ("chat_template.jinja", "chat_template.json")}  # by another name in transformers 4
    names["processor_config.json"] = ("processor_config.json", "preprocessor_config.json")
    with pytest.raises(ModelError, match=told):
        load_local(copy(small_llava, tmp_path, names.get(without, (without,))))


def test_a_template_that_breaks_is_told(small_llava):
    local = load_local(small_llava)
    local.processor.chat_template = "{{ raise_exception('only text here') }}"
    with pytest.raises(TextualizeError, match=r"'small-llava' cannot be asked: .*only text here"):
        textualize(IMAGE, local)


def test_weights_that_are_missing_are_an_error(small_llava, tmp_path):
    import safetensors.torch

    copy(small_llava, tmp_path)
    weights = safetensors.torch.load_file(small_llava / "model.safetensors")
    name = next(name for name in weights if "multi_modal_projector" in name)
    del weights[name]
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="not a whole vision-language model: 1 weights"):
        load_local(tmp_path)
