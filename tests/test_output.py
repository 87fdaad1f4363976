"""One way to write a file: whole or not at all."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from sedic import output

unix = pytest.mark.skipif(os.name == "nt", reason="modes and links as Unix has them")


def test_two_writers_of_one_file_do_not_tear_it(tmp_path):
    path = tmp_path / "o"
    contents = [bytes([n]) * 200_000 for n in range(4)]
    done: list[bytes] = []

    def keep_writing(content: bytes) -> None:
        for _ in range(20):
            output.write(path, content)
        done.append(content)

    writers = [threading.Thread(target=keep_writing, args=(content,)) for content in contents]
    output.write(path, contents[0])
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_bytes())
    assert set(done) == set(contents), "one got in the other's way"
    assert seen <= set(contents)
    assert [p.name for p in tmp_path.iterdir()] == ["o"]


@unix
def test_a_files_mode_and_links_stay(tmp_path):
    path = tmp_path / "o"
    output.write(path, b"old")
    path.chmod(0o640)
    (tmp_path / "soft").symlink_to("o")
    output.write(tmp_path / "soft", b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (tmp_path / "soft").is_symlink()
    os.link(path, tmp_path / "hard")
    output.write(path, b"n")
    assert (tmp_path / "hard").read_bytes() == b"n"
    (tmp_path / "dangling").symlink_to("absent")
    output.write(tmp_path / "dangling", b"made")
    assert (tmp_path / "absent").read_bytes() == b"made"


@unix
def test_a_file_in_a_folder_that_takes_no_neighbour_is_still_written(tmp_path, monkeypatch):
    path = tmp_path / "o"
    path.write_bytes(b"old, and longer")

    def busy(*_):
        raise OSError(16, "Device or resource busy")  # of a file that is mounted by itself

    monkeypatch.setattr("os.replace", busy)
    output.write(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["absent/o", "file/o", ".", "file/../absent/o"])
def test_the_check_before_and_the_writing_tell_the_same(name, tmp_path):
    (tmp_path / "file").write_bytes(b"kept")
    before = sorted(tmp_path.iterdir())
    for attempt in (output.check, lambda path: output.write(path, b"a")):
        with pytest.raises(output.OutputError, match="name"):
            attempt(tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


@unix
def test_what_the_shell_appends_to_is_appended_to(tmp_path):
    with (tmp_path / "log").open("ab") as log:
        log.write(b"before ")
        log.flush()
        output.write(f"/dev/fd/{log.fileno()}", b"behind")
    assert (tmp_path / "log").read_bytes() == b"before behind"
