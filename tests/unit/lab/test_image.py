"""The hash by which a built image is found again."""

from __future__ import annotations

from pathlib import Path

from fabfile.lab.image import INPUTS, content_hash


def tree(folder: Path, text: str) -> Path:
    (folder / "files").mkdir(parents=True)
    (folder / "Containerfile").write_text("FROM debian:12\n")
    (folder / "files" / "unit").write_text(text)
    return folder


def test_the_same_content_elsewhere_is_the_same_image(tmp_path: Path) -> None:
    assert content_hash(tree(tmp_path / "a", "x")) == content_hash(tree(tmp_path / "b", "x"))


def test_a_changed_file_is_another_image(tmp_path: Path) -> None:
    assert content_hash(tree(tmp_path / "a", "x")) != content_hash(tree(tmp_path / "b", "y"))


def test_a_renamed_file_is_another_image(tmp_path: Path) -> None:
    renamed = tree(tmp_path / "b", "x")
    (renamed / "files" / "unit").rename(renamed / "files" / "other")
    assert content_hash(tree(tmp_path / "a", "x")) != content_hash(renamed)


def test_a_file_made_executable_is_another_image(tmp_path: Path) -> None:
    executable = tree(tmp_path / "b", "x")
    (executable / "files" / "unit").chmod(0o755)
    assert content_hash(tree(tmp_path / "a", "x")) != content_hash(executable)


def test_the_lock_file_of_pm2_pins_content_and_names_no_registry() -> None:
    lock = (INPUTS / "host" / "pm2" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')
