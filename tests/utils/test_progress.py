import time

from threestudio.utils import progress
from threestudio.utils.progress import minutes, stage, track


def test_seconds_are_shown_as_minutes_and_hours():
    assert [minutes(seconds) for seconds in (0, 61.4, 3600 + 125)] == ["0:00", "1:01", "1:02:05"]


def test_without_a_terminal_a_stage_says_one_line_at_its_end(capsys):
    with stage("train", total=3) as bar:
        for _ in range(3):
            bar.advance(note="loss 0.5")
    assert capsys.readouterr().out == "train 3/3, loss 0.5, took 0:00\n"


def test_a_line_now_and_then_tells_how_long_it_will_take(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with stage("train", total=4) as bar:
        for _ in range(4):
            now[0] += 6.0
            bar.advance()
    assert capsys.readouterr().out == "train 2/4, 0:12 left\ntrain 4/4, took 0:24\ntrain 4/4, took 0:24\n"


def test_a_resumed_stage_counts_on_but_measures_only_its_own_steps(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with stage("train", total=12, done=9) as bar:
        now[0] = 11.0
        bar.advance()
        assert capsys.readouterr().out == "train 10/12, 0:22 left\n"


def test_tracked_items_come_through(capsys):
    assert list(track([1, 2], "bake")) == [1, 2]
    assert "bake 2/2" in capsys.readouterr().out


def test_on_a_terminal_nested_stages_share_one_bar_that_disappears(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with stage("train", total=2) as outer:
        with stage("validate", total=1) as inner:
            inner.advance()
            assert len(progress._bar.tasks) == 2
        outer.advance()
        assert [task.completed for task in progress._bar.tasks] == [1]
    assert progress._bar is None
