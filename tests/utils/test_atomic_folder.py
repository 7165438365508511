import pytest

from threestudio.utils.atomic import atomic_folder


def test_a_folder_appears_whole_when_the_block_ends(tmp_path):
    with atomic_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out/a").read_text() == "1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_content_is_not_replaced_and_is_named(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept").write_text("1")
    with pytest.raises(OSError) as caught, atomic_folder(tmp_path / "out"):
        pass
    assert caught.value.filename == str(tmp_path / "out")
    assert [entry.name for entry in tmp_path.rglob("*")] == ["out", "kept"]
