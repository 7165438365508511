import pytest
from cascade_zero123.common import project
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.weights.loading import load_zero123


def test_here_a_message_names_the_script_that_helps():
    with pytest.raises(UserError, match="no such folder .* scripts/download_weights.py fetches published ones"):
        load_zero123("no/such/folder")


@pytest.mark.parametrize("path", ["no/such/folder", "no/such.ckpt"])
def test_copied_into_another_checkout_it_names_no_script_that_is_not_there(path, monkeypatch, tmp_path):
    monkeypatch.setattr(project, "SCRIPTS", tmp_path / "scripts")
    with pytest.raises(UserError) as error:
        load_zero123(path)
    assert "scripts/" not in str(error.value)
    assert str(error.value).endswith("name a checkpoint or a folder that is there, or copy one to this place")
