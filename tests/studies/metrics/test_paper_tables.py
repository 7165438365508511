from studies.metrics import Score
from studies.metrics.paper_tables import TABLE_1, TABLE_2, paper_table


def test_the_paper_s_rows_are_marked_and_a_stand_in_gets_a_column_of_its_own():
    ours = {"LPIPS": Score(None, "needs torchvision"), "CLIP": Score(0.5), "ST-LPIPS": Score(0.25, interval=(0.2, 0.3))}
    lines = paper_table("RealFusion15", {"cascade": ours}, TABLE_2, ["ST-LPIPS is not LPIPS."]).splitlines()
    assert lines[0] == "| RealFusion15 | LPIPS ↓ | CLIP ↑ | ST-LPIPS ↓ |"
    assert "| Cascade-Zero123 (the paper's number) | 0.043 | 0.916 | - |" in lines
    assert "| cascade (measured here) | n/a | 0.500 | 0.250 [0.200, 0.300] |" in lines
    assert lines[-3:] == ["ST-LPIPS is not LPIPS.", "", "LPIPS n/a: needs torchvision."]


def test_no_measured_row_is_without_the_words_that_tell_it_from_the_paper_s():
    rows = paper_table("Objaverse", {"Cascade-Zero123": {"PSNR": Score(1.0)}}, TABLE_1).splitlines()[2:]
    theirs = [row for row in rows if "(the paper's number)" in row]
    assert len(theirs) == len(TABLE_1) and len([row for row in rows if "(measured here)" in row]) == 1
