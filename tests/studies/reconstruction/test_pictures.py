import pytest
from batch_stand_ins import save_pictures

from studies.reconstruction.pictures import find_pictures
from threestudio.errors import UserError

TINT = (0.5, 0.5, 0.5)


def names(folder):
    return [picture.name for picture in find_pictures(folder)]


def test_files_and_folders_with_an_rgba_png_are_pictures_in_the_order_of_their_names(tmp_path):
    save_pictures(tmp_path, cup=TINT, ape=TINT)
    save_pictures(tmp_path / "bee", rgba=TINT)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    assert names(tmp_path) == ["ape", "bee", "cup"]
    assert find_pictures(tmp_path)[1].path == tmp_path / "bee" / "rgba.png"


def test_two_pictures_never_share_a_name(tmp_path):
    save_pictures(tmp_path, cat=TINT)
    (tmp_path / "cat.jpg").touch()
    save_pictures(tmp_path / "cat", rgba=TINT)
    assert sorted(names(tmp_path)) == ["cat", "cat.jpg", "cat.png"]


def test_depth_and_normals_of_a_picture_are_no_pictures_of_their_own(tmp_path):
    save_pictures(tmp_path, cat_rgba=TINT, cat_depth=TINT, dog=TINT, dog_normal=TINT, sea_depth=TINT)
    assert names(tmp_path) == ["cat_rgba", "dog", "sea_depth"]


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(UserError, match="no pictures in it; expected"):
        find_pictures(tmp_path)
    with pytest.raises(UserError, match="nowhere: no such folder of pictures"):
        find_pictures(tmp_path / "nowhere")
