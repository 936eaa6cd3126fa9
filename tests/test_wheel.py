"""What is installed from a wheel finds its own conf/, wherever it is called."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from genrelab import paths

CHECKOUT = paths.PACKAGE.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_yaml_and_no_test(unpacked: Path) -> None:
    packaged = unpacked / "genrelab" / "conf"
    wanted = {p.relative_to(paths.conf_dir()) for p in paths.conf_dir().rglob("*.yaml")}
    assert {p.relative_to(packaged) for p in packaged.rglob("*.yaml")} == wanted
    assert (unpacked / "genrelab" / "py.typed").is_file()
    assert (unpacked / "hydra_plugins" / "genrelab_launchers" / "processes.py").is_file()
    assert not (unpacked / "hydra_plugins" / "__init__.py").exists()  # others have their plugins in it, too
    assert not (unpacked / "tests").exists()
    (entries,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "genrelab = genrelab.__main__:main" in entries.read_text()


def test_it_composes_from_its_own_conf(unpacked: Path, tmp_path: Path) -> None:
    mark = unpacked / "genrelab" / "conf" / "norm" / "only_in_the_wheel.yaml"
    mark.write_text((mark.parent / "none.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "genrelab", "--cfg", "job", "norm=only_in_the_wheel", "front=stft"],
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "genrelab.front.stft.Stft" in done.stdout
    assert "genrelab.norm.NoNorm" in done.stdout
    assert not list(tmp_path.iterdir())
