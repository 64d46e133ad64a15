"""Parquet, Arrow, Hugging Face datasets and Minari on disk. The files are made here, in the layout that those write."""

import builtins
import json
import shutil

import numpy as np
import pytest

from plaudit.errors import ConfigError, MissingExtra, RecordError
from plaudit.exchange.bring import open_store
from plaudit.exchange.export import Selection, export, manifest_of, read_manifest, reproduce
from plaudit.exchange.formats import Format
from plaudit.exchange.rows import BadRow, read
from plaudit.exchange.shapes import Shape
from plaudit.records import Segment, from_json
from tests.exchange_examples import CHAT, brought, put, said


def rows_of(count):
    return [{"prompt": f"问{n}", "chosen": "是", "rejected": "不"} for n in range(count)]


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    usual = __import__

    def refuse(name, *arguments, **named):
        if name.split(".")[0] == "pyarrow":
            raise ImportError("no pyarrow")
        return usual(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr("importlib.import_module", lambda name: refuse(name))
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(MissingExtra, match=r"plaudit\[parquet\]"):
        list(read(tmp_path / "a.parquet"))


def test_parquet_there_and_back(tmp_path):
    pytest.importorskip("pyarrow")
    brought(tmp_path / "first", Format.TRL_PREFERENCE, put(tmp_path / "in.jsonl", rows_of(300)))
    for shape, format in ((Shape.TRL_PREFERENCE, Format.TRL_PREFERENCE), (Shape.PLAUDIT, Format.PLAUDIT)):
        file = tmp_path / f"{shape.value}.parquet"
        with open_store(tmp_path / "first") as store:
            done = export(store, Selection(shape), file)
            assert (done.rows, done.writer.split()[0]) == (300, "pyarrow")
            reproduce(store, read_manifest(manifest_of(file)), tmp_path / "again")
        (into,), problems = brought(tmp_path / shape.value, format, file)
        assert (into.judgements, problems) == (300, [])
        with open_store(tmp_path / "first") as one, open_store(tmp_path / shape.value) as two:
            assert [answer for _, answer in one.feedback()] == [answer for _, answer in two.feedback()]


def test_chat_goes_into_parquet_and_a_mixture_does_not(tmp_path):
    pytest.importorskip("pyarrow")
    chat = {"prompt": CHAT, "chosen": said("a"), "rejected": said("b")}
    brought(tmp_path / "chat", Format.TRL_PREFERENCE, put(tmp_path / "chat.jsonl", [chat]))
    with open_store(tmp_path / "chat") as store:
        export(store, Selection(Shape.TRL_PREFERENCE), tmp_path / "chat.parquet")
    assert [row.data for row in read(tmp_path / "chat.parquet")] == [chat]
    called = [{"role": "assistant", "content": "c", "tool_calls": "[]"}]
    many = [{**chat, "prompt": [{"role": "user", "content": str(n)}]} for n in range(300)]
    for odd in (rows_of(1)[0], chat | {"chosen": called}):
        brought(tmp_path / "mixed", Format.TRL_PREFERENCE, put(tmp_path / "mixed.jsonl", [*many, odd]))
        with open_store(tmp_path / "mixed") as store, pytest.raises(RecordError, match=r"export to \.jsonl"):
            export(store, Selection(Shape.TRL_PREFERENCE), tmp_path / "mixed.parquet")
        assert not (tmp_path / "mixed.parquet").exists()


def test_a_parquet_file_that_is_broken_is_one_bad_row(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "a.arrow").write_bytes(b"\xff\xff\xff\xff nothing of use")
    for name in ("a.parquet", "a.arrow"):
        (bad,) = read(tmp_path / name)
        assert isinstance(bad, BadRow)
        assert bad.line == 1


@pytest.mark.parametrize("splits", [(), ("train", "test")])
def test_a_hugging_face_dataset_on_disk(tmp_path, splits):
    pyarrow = pytest.importorskip("pyarrow")
    folder = tmp_path / "set"
    for split in splits or (".",):
        (folder / split).mkdir(parents=True)
        names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
        for name in names:
            table = pyarrow.Table.from_pylist([{"prompt": f"{split} {name}", "chosen": "a", "rejected": "b"}])
            with pyarrow.ipc.new_stream(folder / split / name, table.schema) as stream:
                stream.write_table(table)
        (folder / split / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    if splits:
        (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    (done,), problems = brought(tmp_path / "to", Format.TRL_PREFERENCE, folder)
    assert (done.judgements, problems) == (
        2
        * len(
            splits or ".",
        ),
        [],
    )


EPISODES = [(3, 5), (2, None)]
"""steps and seed of each"""


def minari(folder):
    (folder / "data").mkdir(parents=True)
    about = {"dataset_id": "toy/made-up-v0", "env_spec": json.dumps({"id": "Toy-v0"}), "total_episodes": 2}
    (folder / "data" / "metadata.json").write_text(json.dumps(about))
    return folder / "data"


def arrays(steps):
    return (
        np.arange((steps + 1) * 2, dtype=np.float64).reshape(-1, 2),
        np.arange(steps, dtype=np.int64),
        np.linspace(0, 1, steps),
    )


def made_hdf5(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(minari(folder) / "main_data.hdf5", "w") as file:
        for number, (steps, seed) in enumerate(EPISODES):
            group = file.create_group(f"episode_{number}")
            group.attrs["id"], group.attrs["total_steps"] = number, steps
            if seed is not None:
                group.attrs["seed"] = seed
            group.create_group("infos")
            for name, values in zip(("observations", "actions", "rewards"), arrays(steps), strict=True):
                group[name] = values


def made_arrow(folder):
    pyarrow = pytest.importorskip("pyarrow")
    data = minari(folder)
    for number, (steps, seed) in enumerate(EPISODES):
        observations, actions, rewards = arrays(steps)
        columns = {  # one row per observation; what has no value in the last one is padded
            "observations": pyarrow.array(observations.tolist(), pyarrow.list_(pyarrow.float64(), 2)),
            "actions": [*actions.tolist(), 0],
            "rewards": [*rewards.tolist(), 0.0],
        }
        table = pyarrow.table(columns)
        (data / str(number)).mkdir()
        with pyarrow.ipc.new_file(data / str(number) / "part-0.arrow", table.schema) as file:
            file.write_table(table)
        about = {"id": number, "total_steps": steps} | ({} if seed is None else {"seed": seed})
        (data / str(number) / "metadata.json").write_text(json.dumps(about))


@pytest.mark.parametrize("make", [made_hdf5, made_arrow])
def test_minari_episodes_become_control_segments(tmp_path, make):
    make(tmp_path / "set")
    (done,), problems = brought(tmp_path / "to", Format.MINARI, tmp_path / "set")
    assert (done.rows, done.judgements, problems) == (2, 2, [])
    with open_store(tmp_path / "to") as store:
        segments = [from_json(Segment, event.payload) for event in store.events(kinds={"segment.added"})]
        for number, (segment, (steps, seed)) in enumerate(zip(segments, EPISODES, strict=True)):
            observations, actions, rewards = arrays(steps)
            assert (segment.world, segment.episode, segment.length) == ("Toy-v0", f"toy/made-up-v0/{number}", steps)
            data = store.segment_data(segment)
            np.testing.assert_array_equal(data.observations, observations[:-1].astype(np.float32))
            np.testing.assert_array_equal(data.actions, actions)
            np.testing.assert_array_equal(data.true_rewards, rewards)
            assert data.reset_seed == seed


def test_minari_episodes_that_do_not_fit_are_bad_rows(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(minari(tmp_path / "set") / "main_data.hdf5", "w") as file:
        for number, (observations, actions, rewards) in enumerate(
            [
                (np.zeros((3, 2)), np.zeros(3), np.zeros(3)),  # no last observation
                (np.full((3, 2), np.nan), np.zeros(2), np.zeros(2)),
                (np.array([b"jpeg"] * 3), np.zeros(2), np.zeros(2)),
                (np.zeros((3, 2)), np.zeros(2), np.zeros(2)),
            ]
        ):
            file[f"episode_{number}/observations"] = observations
            file[f"episode_{number}/actions"] = actions
            file[f"episode_{number}/rewards"] = rewards
        file["episode_4/observations/camera"] = np.zeros((3, 2))
        file["episode_4/actions"] = file["episode_4/rewards"] = np.zeros(2)
    (done,), problems = brought(tmp_path / "to", Format.MINARI, tmp_path / "set")
    assert (done.bad, done.judgements) == (4, 1)
    words = ["fit together", "not finite", "no array of numbers", "no array of numbers"]
    assert all(word in problem.why for word, problem in zip(words, problems, strict=True))


def test_minari_files_that_are_broken_are_bad_rows(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(minari(tmp_path / "set") / "main_data.hdf5", "w") as file:
        file["episode_0"] = np.zeros(3)
        for number, seed in enumerate(("three", np.zeros(2), "None"), 1):
            for name, values in zip(("observations", "actions", "rewards"), arrays(2), strict=True):
                file[f"episode_{number}/{name}"] = values
            file[f"episode_{number}"].attrs["seed"] = seed
    (done,), problems = brought(tmp_path / "to", Format.MINARI, tmp_path / "set")
    assert (done.bad, done.judgements, [problem.line for problem in problems]) == (3, 1, [1, 2, 3])
    words = ["no group", "`seed`", "`seed`"]
    assert all(word in problem.why for word, problem in zip(words, problems, strict=True))
    (tmp_path / "set" / "data" / "main_data.hdf5").write_bytes(b"no HDF5")
    (done,), problems = brought(tmp_path / "to", Format.MINARI, tmp_path / "set")
    assert (done.bad, done.judgements) == (1, 0)
    assert "cannot be read any further" in problems[0].why


def test_minari_folders_that_are_broken_are_bad_rows(tmp_path):
    made_arrow(tmp_path / "set")
    data = tmp_path / "set" / "data"
    for number, told in enumerate(("[]", "{", '{"seed": "x"}', '{"seed": 3}'), 2):
        shutil.copytree(data / "0", data / str(number))
        (data / str(number) / "metadata.json").write_text(told)
    (data / "0" / "part-0.arrow").write_bytes(b"ARROW1 and nothing more")
    (data / "1" / "part-0.arrow").unlink()
    (done,), problems = brought(tmp_path / "to", Format.MINARI, tmp_path / "set")
    assert (done.bad, done.judgements, [problem.line for problem in problems]) == (5, 1, [1, 2, 3, 4, 5])
    words = ["cannot be read any further", "fit together", "`seed`", "metadata.json cannot be read", "`seed`"]
    assert all(word in problem.why for word, problem in zip(words, problems, strict=True)), problems


def test_a_folder_that_only_looks_like_minari(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.json").write_text("[]")
    with pytest.raises(ConfigError, match="no Minari dataset"):
        read(tmp_path)
