"""Others need a token; without one the server does not listen to them at all."""

import pytest
from fastapi.testclient import TestClient
from web.studio_stand_ins import pretended

import app
from threestudio.errors import UserError
from threestudio.web.access import VARIABLE, is_loopback, token_for
from threestudio.web.application import make_application

TOKEN = "a token of enough characters"


@pytest.fixture
def client(tmp_path):
    studio = pretended(tmp_path)
    yield TestClient(make_application(studio, TOKEN, page=False), base_url="http://server", follow_redirects=False)
    studio.close()


def test_only_loopback_addresses_need_no_token(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert token_for("127.0.0.1") is None and token_for("::1") is None and token_for("localhost") is None
    with pytest.raises(UserError, match=f"others could use it; set the variable {VARIABLE} to a token first"):
        token_for("0.0.0.0")
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(UserError, match="5 characters; at least 16 are needed"):
        token_for("0.0.0.0")
    monkeypatch.setenv(VARIABLE, TOKEN)
    assert token_for("0.0.0.0") == TOKEN
    assert not is_loopback("example.org") and not is_loopback("10.0.0.1")


def test_the_command_refuses_an_open_address_without_a_token_in_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert app.main(["--host", "0.0.0.0", "--no-page", "--outputs", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("--host 0.0.0.0: others could use it") and error.count("\n") == 1


def test_nothing_is_answered_without_the_token(client):
    for address in ("/jobs", "/docs", "/openapi.json"):
        assert client.get(address).status_code == 401
        assert client.get(address, headers={"Authorization": "Bearer nonsense of that length"}).status_code == 401
        assert client.get(address, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_token_in_the_address_becomes_a_cookie_that_scripts_cannot_read(client):
    answer = client.get("/jobs", params={"token": TOKEN, "limit": 5})
    assert answer.status_code == 303 and answer.headers["location"] == "/jobs?limit=5"
    assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=Strict" in answer.headers["set-cookie"]


def test_the_port_is_the_variable_s_unless_it_is_said(monkeypatch):
    monkeypatch.setenv("PORT", "8000")
    assert app.parse_arguments([]).port == 8000 and app.parse_arguments(["--port", "9"]).port == 9
    monkeypatch.delenv("PORT")
    assert app.parse_arguments([]).port == 7860


def test_without_the_extra_the_step_that_installs_it_is_named(monkeypatch, capsys):
    monkeypatch.setattr(app, "NEEDED", ("no_such_library",))
    monkeypatch.setattr(app, "OF_THE_PAGE", ("nor_this",))
    for arguments, missing in (([], "no_such_library, nor_this"), (["--no-page"], "no_such_library")):
        assert app.main(arguments) == 2
        assert capsys.readouterr().err == f"the page needs {missing}; run `make app`\n"
