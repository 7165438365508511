"""Angles as people write them; the rest of further pictures is tested over HTTP and in the browser."""

import pytest

from threestudio.errors import UserError
from threestudio.web.further import in_degrees


def test_a_cell_of_the_table_is_a_number_of_degrees():
    assert [in_degrees(cell) for cell in (90, "-45.5", " 180 ")] == [90.0, -45.5, 180.0]


@pytest.mark.parametrize("cell", ["behind", "", None])
def test_another_cell_is_refused_as_it_was_written(cell):
    with pytest.raises(UserError, match="expected degrees") as refusal:
        in_degrees(cell)
    assert repr(cell) in str(refusal.value)
