from cascade_zero123.training.throughput import TOLD_AFTER, Throughput


def test_the_time_left_is_told_once_after_the_first_batches(monkeypatch):
    clock = iter(0.5 * tick for tick in range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    throughput, told = Throughput(), []
    for _ in range(60):
        throughput.begin()
        throughput.end()
        told.append(throughput.announcement(7200))
    assert throughput.batches_per_second == 2.0
    assert [batch for batch, line in enumerate(told, start=1) if line] == [TOLD_AFTER]
    assert told[TOLD_AFTER - 1] == "0.50 s a batch: the remaining 7,200 will take about 1:00:00"
