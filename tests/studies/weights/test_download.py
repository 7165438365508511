import huggingface_hub
import pytest

from studies.weights import download as download_weights


@pytest.mark.parametrize("name", list(download_weights.PUBLISHED))
def test_offline_one_line_says_what_to_fetch_from_where_and_where_to_put_it(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert download_weights.main([name, "--to", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    published = download_weights.PUBLISHED[name]
    assert published.size in shown.out and published.licence in shown.out and published.page in shown.out
    assert shown.err.count("\n") == 1
    assert f"Fetch it elsewhere ({published.size}) and put it at {tmp_path}" in shown.err


@pytest.mark.parametrize("name", list(download_weights.PUBLISHED))
def test_a_refused_connection_is_told_at_once_and_a_download_is_not_begun(name, tmp_path, capsys, monkeypatch):
    """The library's download would ask again and again, and say so in a line each."""

    def refused(*_, **__):
        raise ConnectionError("refused")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refused)
    for function in ("hf_hub_download", "snapshot_download"):
        monkeypatch.setattr(huggingface_hub, function, lambda *_, **__: pytest.fail("asked for the file"))
    assert download_weights.main([name, "--to", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1 and "could not be fetched (ConnectionError: refused)" in shown.err


def test_what_is_shown_comes_before_the_download(tmp_path, capsys, monkeypatch):
    asked = []

    def download(repository, file, local_dir):
        asked.append((repository, file, local_dir, capsys.readouterr().out))

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, repository: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert download_weights.main(["stable-zero123", "--to", str(tmp_path)]) == 0
    [(repository, file, folder, shown)] = asked
    assert (repository, file, folder) == ("stabilityai/stable-zero123", "stable_zero123.ckpt", tmp_path)
    assert "8.6 GB" in shown and "Non-Commercial" in shown
    assert f"system.guidance.base.weights={tmp_path / 'stable_zero123.ckpt'}" in capsys.readouterr().out


def test_a_download_that_is_stopped_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, repository: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", stopped)
    assert download_weights.main(["zero123-105000", "--to", str(tmp_path)]) == 130
    assert "the same command goes on" in capsys.readouterr().err
