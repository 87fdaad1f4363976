"""What commands write: never onto an input, never half, through links and pipes, and told before the work."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.bitstream import SedicFile
from sedic.cli import files, main
from sedic.cli.speech import Speech

from .support import failure

unix = pytest.mark.skipif(os.name == "nt", reason="links, devices and FIFOs as Unix has them")


@pytest.fixture
def inputs(scene, tmp_path) -> Path:
    """A copy of the scene, which a test may lose."""
    return Path(shutil.copytree(scene, tmp_path / "own"))


def spellings(path: Path) -> list[Path]:
    """Other names of a file."""
    (path.parent / "soft").symlink_to(path.name)
    os.link(path, path.parent / "hard")
    return [path, path.parent / ".." / path.parent.name / path.name, path.parent / "soft", path.parent / "hard"]


@unix
@pytest.mark.parametrize("name", ["a.png", "s.json", "cup.png"])
def test_encode_never_writes_onto_an_input_however_it_is_spelled(name, inputs, capsys):
    before = (inputs / name).read_bytes()
    for output in spellings(inputs / name):
        told = failure(capsys, "encode", inputs / "a.png", "--semantics", inputs / "s.json", "-o", output,
                       "--reference", "av1:80", "--force")  # fmt: skip
        assert "input" in told
        assert (inputs / name).read_bytes() == before


@unix
def test_decode_and_unpack_never_write_onto_their_input(inputs, capsys, no_models):
    before = (inputs / "a.sedic").read_bytes()
    for output in spellings(inputs / "a.sedic"):
        assert "input" in failure(capsys, "decode", inputs / "a.sedic", "-o", output, "--until", "reference")
    for command, name in (("unpack", "semantics.json"), ("unpack", "object1.png"), ("decode", "final.png")):
        (inputs / "d").mkdir()
        shutil.copy(inputs / "a.sedic", inputs / "d" / name)
        option = ["-o", inputs / "d"] if command == "unpack" else ["-o", inputs / "o.png", "--stages", inputs / "d"]
        assert "input" in failure(capsys, command, inputs / "d" / name, *option)
        assert [path.name for path in (inputs / "d").iterdir()] == [name]
        shutil.rmtree(inputs / "d")
    assert (inputs / "a.sedic").read_bytes() == before


def test_a_stage_of_another_picture_is_not_the_output(inputs, capsys, no_models):
    command = ["decode", inputs / "a.sedic", "--stages", inputs, "-o", inputs / "reference.png"]
    assert "--stages" in failure(capsys, *command)
    assert main([*map(str, command), "--until", "reference"]) == 0


def test_encode_replaces_what_is_no_sedic_file_only_when_asked(inputs, capsys):
    (inputs / "notes.txt").write_text("mine")
    command = ["encode", inputs / "a.png", "-o", inputs / "notes.txt", "--reference", "av1:80"]
    assert "--force" in failure(capsys, *command)
    assert (inputs / "notes.txt").read_text() == "mine"
    assert main([*map(str, command), "--force"]) == 0
    assert SedicFile.read(inputs / "notes.txt").reference
    assert main([*map(str, command)]) == 0, "it is one now"
    (inputs / "empty").touch()
    assert main(["encode", str(inputs / "a.png"), "-o", str(inputs / "empty"), "--reference", "av1:80"]) == 0


def test_decode_never_replaces_a_sedic_file(inputs, capsys, no_models):
    shutil.copy(inputs / "a.sedic", inputs / "other.png")
    command = ["decode", inputs / "a.sedic", "--until", "reference", "-o"]
    assert "would be lost" in failure(capsys, *command, inputs / "other.png")
    assert ".png" in failure(capsys, *command, inputs / "new.sedic")


def test_places_that_cannot_be_written_are_told_before_the_work(inputs, capsys, monkeypatch, no_models):
    monkeypatch.setattr("sedic.picture.read_picture", lambda *_: pytest.fail("a picture was read"))
    monkeypatch.setattr("sedic.codec.reference_of", lambda *_: pytest.fail("a reference was decoded"))
    (inputs / "file").write_text("kept")
    for output in (inputs / "absent" / "o.sedic", inputs / "file" / "o.sedic", inputs):
        assert str(inputs) in failure(capsys, "encode", inputs / "a.png", "-o", output, "--endpoint", "nobody")
    for output in ("absent/o.png", "file/o.png", "o.nonsense", "o", "own.psd"):
        failure(capsys, "decode", inputs / "a.sedic", "-o", inputs / output)
    failure(capsys, "decode", inputs / "a.sedic", "-o", inputs / "o.png", "--stages", inputs / "file" / "d")
    failure(capsys, "unpack", inputs / "a.sedic", "-o", inputs / "file" / "d")
    assert not (inputs / "absent").exists()


# Pipes and devices


class Piped(io.TextIOWrapper):
    """Standard input or output with bytes behind it."""

    def __init__(self, data: bytes = b"", encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(data), encoding=encoding)

    @property
    def data(self) -> bytes:
        self.flush()
        return self.buffer.getvalue()  # type: ignore[attr-defined]


def piped(monkeypatch, data: bytes, *arguments) -> tuple[bytes, str]:
    """What a command writes to standard output and standard error, given bytes."""
    out, err = Piped(), Piped()
    for name, stream in (("stdin", Piped(data)), ("stdout", out), ("stderr", err)):
        monkeypatch.setattr(sys, name, stream)
    assert main([str(a) for a in arguments]) == 0, err.data
    return out.data, err.data.decode()


def test_every_command_reads_standard_input_and_writes_standard_output(scene, monkeypatch, no_models):
    picture, file = (scene / "a.png").read_bytes(), (scene / "a.sedic").read_bytes()
    data, told = piped(monkeypatch, picture, "encode", "-", "--semantics", scene / "s.json", "-o", "-",
                       "--reference", "av1:80")  # fmt: skip
    assert data == file
    assert "bpp" in told
    data, _ = piped(monkeypatch, file, "decode", "-", "-o", "-", "--until", "reference")
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (64, 72))
    assert b"cup" in piped(monkeypatch, file, "info", "-")[0]
    assert b"equal" in piped(monkeypatch, picture, "compare", "-", scene / "a.png")[0]


def test_words_come_through_standard_input_and_nothing_is_read_twice(scene, tmp_path, monkeypatch, capsys):
    out = tmp_path / "o.sedic"
    piped(monkeypatch, "\ufeffcup: white\r\noverall: a cup".encode(), "encode", scene / "a.png", "--words-file", "-",
          "-o", out, "--reference", "av1:80")  # fmt: skip
    assert SedicFile.read(out).semantics.overall == "a cup"
    monkeypatch.undo()
    assert "once" in failure(capsys, "encode", "-", "--words-file", "-", "-o", out)
    assert "once" in failure(capsys, "compare", "-", "-")


@unix
def test_a_file_called_dash_is_a_file(inputs, monkeypatch):
    monkeypatch.chdir(inputs)
    assert main(["encode", "a.png", "-o", "./-", "--reference", "av1:80"]) == 0
    assert SedicFile.read(inputs / "-").reference


@unix
def test_devices_fifos_and_links_are_written_through(inputs, capsys, no_models):
    encode = ["encode", str(inputs / "a.png"), "--reference", "av1:80", "-o"]
    decode = ["decode", str(inputs / "a.sedic"), "--until", "reference", "-o"]
    for command in (encode, decode):
        assert main([*command, os.devnull]) == 0
        os.mkfifo(inputs / "fifo")
        got: list[bytes] = []
        reader = threading.Thread(target=lambda got=got: got.append((inputs / "fifo").read_bytes()))
        reader.start()
        assert main([*command, str(inputs / "fifo")]) == 0
        reader.join(10)
        assert got[0][:3] in (b"SDC", b"\x89PN")
        (inputs / "fifo").unlink()
    (inputs / "target.sedic").write_bytes(b"")
    (inputs / "link.sedic").symlink_to("target.sedic")
    assert main([*encode, str(inputs / "link.sedic")]) == 0
    assert (inputs / "link.sedic").is_symlink()
    assert SedicFile.read(inputs / "target.sedic").reference
    assert files.goes_to_stdout(Path("/dev/stdout"))


@unix
def test_pictures_and_files_are_read_from_fifos(inputs, capsys):
    for command, source in (("info", "a.sedic"), ("compare", "a.png")):
        os.mkfifo(inputs / "fifo")
        data = (inputs / source).read_bytes()
        writer = threading.Thread(target=lambda data=data: (inputs / "fifo").write_bytes(data))
        writer.start()
        assert main([command, str(inputs / "fifo"), *([str(inputs / "a.png")] if command == "compare" else [])]) == 0
        writer.join(10)
        (inputs / "fifo").unlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no full disk at hand")
def test_a_full_disk_is_a_sentence(scene, capsys, no_models):
    told = failure(capsys, "encode", scene / "a.png", "-o", "/dev/full", "--reference", "av1:80")
    assert "/dev/full cannot be written (No space left on device)" in told
    failure(capsys, "decode", scene / "a.sedic", "-o", "/dev/full", "--until", "reference")
    with open("/dev/full", "w") as full:
        done = run(["info", str(scene / "a.sedic")], stdout=full)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def run(arguments: list[str], **options) -> subprocess.CompletedProcess:
    """A command in a process of its own."""
    command = [sys.executable, "-m", "sedic", *arguments]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, stderr=subprocess.PIPE, check=False, timeout=300, **options)


@unix
def test_a_closed_pipe_ends_quietly_and_no_work_is_lost(scene, tmp_path):
    for arguments, status in (
        (["info", str(scene / "a.sedic")], 0),
        (["info", str(scene / "a.sedic"), "--json"], 0),
        (["decode", "--help"], 0),
        (["encode", str(scene / "a.png"), "-o", str(tmp_path / "o.sedic"), "--reference", "av1:80",
          "--words", "overall: a cup"], 0),
        (["encode", str(scene / "a.png"), "-o", "-", "--reference", "av1:80", "--words", "overall: a cup"], 141),
    ):  # fmt: skip
        reader, writer = os.pipe()
        os.close(reader)
        done = run(arguments, stdout=writer)
        os.close(writer)
        assert done.returncode == status, done.stderr
        assert b"Error" not in done.stderr
    assert SedicFile.read(tmp_path / "o.sedic").reference


# Interruption


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(143), MemoryError])
def test_whatever_interrupts_leaves_no_partial_file_and_no_reference_under_the_final_name(
    error, scene, tmp_path, earlier_picture, monkeypatch, preloaded, capsys
):
    def stages(*_):
        raise error
        yield

    monkeypatch.setattr("sedic.codec.decode", stages)
    command = ["decode", str(scene / "a.sedic"), "--stages", str(tmp_path / "stages"), "-o"]
    for output, before in ((tmp_path / "new.png", None), (earlier_picture, b"earlier")):
        if isinstance(error, SystemExit):
            with pytest.raises(SystemExit):
                main([*command, str(output)])
        else:
            assert main([*command, str(output)]) == (130 if error is KeyboardInterrupt else 1)
        assert (output.read_bytes() if output.exists() else None) == before
    assert {path.name for path in tmp_path.iterdir()} == {"stages", "earlier.png"}
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["reference.png"]


def test_ctrl_c_while_writing_leaves_what_was_there(scene, earlier, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = earlier.read_bytes()
    monkeypatch.setattr("os.replace", interrupt)
    assert main(["encode", str(scene / "a.png"), "-o", str(earlier), "--reference", "av1:80"]) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert [path.name for path in earlier.parent.iterdir()] == [earlier.name]
    assert earlier.read_bytes() == before


@unix
def test_termination_unwinds_as_ctrl_c_does(scene, earlier, monkeypatch, capsys):
    import signal

    monkeypatch.setattr("os.replace", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as caught:
        main(["encode", str(scene / "a.png"), "-o", str(earlier), "--reference", "av1:80"])
    assert caught.value.code == 143
    assert [path.name for path in earlier.parent.iterdir()] == [earlier.name]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_no_more_than_so_much_is_read_of_a_pipe(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Piped(bytes(100)))
    with pytest.raises(Exception, match="more than 10 bytes"):
        files.read_from(files.STANDARD, 10)


def test_a_picture_of_a_pipe_is_called_what_the_person_called_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Piped(b"no picture"))
    assert "standard input is not a picture" in failure(capsys, "compare", "-", "b.png")


def test_speech_needs_no_open_streams(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    speech = Speech()
    speech.say("a")
    speech.error("b")
    np.testing.assert_equal(main(["compare", "a", "b"]), 1)
