import csv

from batch_stand_ins import done, make_job

from studies.metrics import Score
from studies.metrics.paper_tables import TABLE_2
from studies.reconstruction.job import FAILED, Result
from studies.reconstruction.tables import save_csv, summary


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_each_picture_and_method_has_a_line_whether_it_is_done_or_not(tmp_path):
    broken = Result(FAILED, "bee.png: truncated, or not a picture")
    results = {make_job(tmp_path, "ape"): done(PSNR=20.5, CLIP=0.75), make_job(tmp_path, "bee"): broken}
    save_csv(tmp_path / "metrics.csv", results)
    ape, bee = rows_of(tmp_path / "metrics.csv")
    assert (ape["picture"], ape["method"], ape["state"], ape["PSNR"]) == ("ape", "cascade", "done", "20.5")
    assert (bee["state"], bee["PSNR"], bee["reason"]) == ("failed", "n/a", "bee.png: truncated, or not a picture")


def test_the_table_has_the_mean_over_what_is_done_and_says_how_much_that_is(tmp_path):
    results = {
        make_job(tmp_path, "ape"): done(LPIPS=0.1, CLIP=0.7),
        make_job(tmp_path, "bee"): done(LPIPS=0.2, CLIP=0.8),
        make_job(tmp_path, "cat"): Result(FAILED, "bad"),
    }
    text = summary("RealFusion15", results, TABLE_2, ["A notice."])
    assert "| Cascade-Zero123 (the paper's number) | 0.043 | 0.916 |" in text
    assert "| cascade (measured here) | 0.150 | 0.750 |" in text
    assert "cascade: 2 of 3 pictures done; 1:01 minutes each, 0.9 GB of memory." in text
    assert text.endswith("\nA notice.\n")


def test_a_score_that_could_not_be_measured_is_not_averaged_over(tmp_path):
    unmeasured = done(LPIPS=0.1)
    unmeasured.scores["CLIP"] = Score(None, "no CLIP folder was named")
    results = {make_job(tmp_path, "ape"): done(LPIPS=0.1, CLIP=0.7), make_job(tmp_path, "bee"): unmeasured}
    text = summary("pictures", results, TABLE_2, [])
    assert "| cascade (measured here) | 0.100 | n/a |" in text
    assert "CLIP n/a: no CLIP folder was named." in text


def test_the_time_of_a_resumed_picture_is_no_part_of_the_mean(tmp_path):
    resumed = done(PSNR=20.0)
    resumed.seconds, resumed.resumed_at_step = 1.0, 300
    results = {make_job(tmp_path, "ape"): done(PSNR=20.0), make_job(tmp_path, "bee"): resumed}
    assert "2 of 2 pictures done; 1:01 minutes each" in summary("pictures", results, {}, [])


def test_a_table_without_the_papers_numbers_has_only_ours(tmp_path):
    text = summary("pictures", {make_job(tmp_path): done(PSNR=20.0)}, {}, [])
    assert "| pictures | PSNR ↑ |" in text
    assert "paper" not in text
    assert "0 of 1 pictures done." in summary("pictures", {make_job(tmp_path): Result(FAILED, "bad")}, {}, [])
