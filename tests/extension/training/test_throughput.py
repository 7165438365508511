import pytest
from cascade_zero123.training.throughput import TOLD_AFTER, Throughput


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)
    return clock


def test_the_time_left_is_told_once_after_the_first_batches_with_the_time_between_them(clock):
    throughput, told = Throughput(), []
    for _ in range(80):
        clock.now += 0.5  # loading its data, and the step itself
        throughput.end()
        told.append(throughput.announcement(7200))
    assert throughput.batches_per_second == 2.0
    assert [batch for batch, line in enumerate(told) if line] == [TOLD_AFTER]
    assert told[TOLD_AFTER] == "0.50 s a batch: the remaining 7,200 will take about 1:00:00"


def test_start_up_filling_the_pool_and_validation_do_not_count(clock):
    throughput = Throughput()
    for _ in range(40):
        clock.now += 9.0  # filling
        throughput.skip()
    assert throughput.batches_per_second == 0.0 and throughput.announcement(1) is None
    for batch in range(TOLD_AFTER):
        clock.now += 0.5
        throughput.end()
        if batch == 10:
            clock.now += 100.0  # validation
            throughput.skip()
    assert throughput.announcement(7200).startswith("0.50 s a batch")
