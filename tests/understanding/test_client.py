from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sedic.understanding.words.client import own_machine
from sedic.understanding.words.endpoints import Endpoint

from .asking import ask, failing
from .chat_server import GOOD, KEY, completion

pytestmark = pytest.mark.usefixtures("no_key_anywhere", "clean_environment")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture
def clean_environment(monkeypatch):
    """None of the machine's own proxies and certificates."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def elsewhere(base_url="http://models.invalid/v1"):
    return Endpoint("home", base_url, "eyes", KEY, 5)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("http_proxy", "nonsense://x"),
        ("NO_PROXY", "fe80::/10,::1"),
        ("SSL_CERT_FILE", "gone/cacert.pem"),
        ("SSL_CERT_DIR", "gone"),
    ],
)
def test_the_environment_does_not_matter_for_a_server_of_this_machine(server, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    for host in ("127.0.0.1", "localhost"):
        endpoint = server.endpoint(base_url=f"http://{host}:{server.server_port}/v1")
        assert ask(endpoint).overall == GOOD["overall"]


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("[::1]", True),
        ("0.0.0.0", True),
        ("[::ffff:127.0.0.1]", True),
        ("LOCALHOST", True),
        ("eyes.localhost", True),
        (socket.gethostname(), True),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("api.openai.com", False),
    ],
)
def test_servers_of_this_machine_are_known(host, own):
    assert own_machine(elsewhere(f"http://{host}:8080/v1")) == own


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ALL_PROXY", "socks5://me:secret@127.0.0.1:9", "ALL_PROXY"),
        ("HTTP_PROXY", "nonsense://me:secret@x", "HTTP_PROXY"),
        ("HTTP_PROXY", "http://me:secret@[::1", "HTTP_PROXY"),
        ("HTTPS_PROXY", "http://127.0.0.1:secret", "HTTPS_PROXY"),
        ("SSL_CERT_FILE", "gone/secret.pem", "SSL_CERT_FILE of the environment names a file that is not there"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE of the environment names no file of certificates"),
    ],
)
def test_an_environment_that_cannot_be_used_is_told_in_a_sentence(monkeypatch, variable, value, told):
    monkeypatch.setenv(variable, value)
    sentence = failing(elsewhere("https://models.invalid/v1"), named=False)
    assert told in sentence
    assert "secret" not in sentence


def test_a_dead_proxy_is_named(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@127.0.0.1:9")
    sentence = failing(elsewhere("https://models.invalid/v1"))
    assert "cannot be reached through the proxy of HTTPS_PROXY" in sentence
    assert "secret" not in sentence


def test_a_host_that_does_not_exist_is_told():
    assert "no such host is known here" in failing(elsewhere())


def test_https_to_a_server_of_plain_http_is_told(server):
    sentence = failing(server.endpoint(base_url=f"https://127.0.0.1:{server.server_port}/v1"))
    assert "does not speak https; write http:// in base_url" in sentence


def test_nothing_of_an_openai_account_goes_to_another_host(server, monkeypatch):
    account = {
        "OPENAI_API_KEY": "sk-real",
        "OPENAI_ADMIN_KEY": "sk-real-admin",
        "OPENAI_ORG_ID": "org-mine",
        "OPENAI_PROJECT_ID": "proj_mine",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "OPENAI_CUSTOM_HEADERS": "authorization: Bearer sk-real\nX-Account: mine-alone\nCookie: mine-alone",
        "AZURE_OPENAI_API_KEY": "sk-real",
        "AZURE_OPENAI_AD_TOKEN": "sk-real",
    }
    for name, value in account.items():
        monkeypatch.setenv(name, value)
    azure = {"base_url": f"http://127.0.0.1:{server.server_port}/openai/deployments/eyes", "api_version": "1"}
    for endpoint in (server.endpoint(), server.endpoint(key=""), server.endpoint(**azure)):
        ask(endpoint)
    assert len(server.heard) == 3
    for secret in ("sk-real", "org-mine", "proj_mine", "mine-alone"):
        assert not [heard for heard in server.heard if secret in heard]
    assert server.keys == [f"Bearer {KEY}", "Bearer none", None]


def test_the_organisation_goes_to_openai_itself(monkeypatch):
    from sedic.understanding.words.client import open_client

    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    client = open_client(elsewhere("https://api.openai.com/v1"), 0)
    address = "https://api.openai.com/v1/chat/completions"
    request = client._client.build_request("POST", address, headers={"OpenAI-Organization": "org-mine"})
    client._client.event_hooks["request"][0](request)
    assert request.headers["openai-organization"] == "org-mine"
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_redirect_elsewhere_does_not_get_the_key(server):
    heard = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(str(self.headers))
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_args):
            """Silence."""

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        server.headers = {"Location": f"http://localhost:{other.server_port}/v1/chat/completions"}
        server.answers = [(307, "")]
        failing(server.endpoint())
        other.shutdown()
        thread.join()
    assert heard
    assert KEY not in heard[0]


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/openai/deployments/eyes", "/openai/deployments/eyes/chat/completions?api-version=2024-10-21"),
        ("/openai", "/openai/deployments/eyes/chat/completions?api-version=2024-10-21"),
        ("", "/openai/deployments/eyes/chat/completions?api-version=2024-10-21"),
        ("/models", "/models/chat/completions?api-version=2024-10-21"),
        ("/openai/v1", "/openai/v1/chat/completions?api-version=2024-10-21"),
    ],
)
def test_azures_classic_address_is_spoken(server, path, reached):
    base_url = f"http://127.0.0.1:{server.server_port}{path}"
    assert ask(server.endpoint(base_url=base_url, api_version="2024-10-21")).overall == GOOD["overall"]
    assert server.paths == [reached]
    assert f"api-key: {KEY}" in server.heard[0].lower().replace(KEY.lower(), KEY)
    assert server.keys == [None]


def test_the_profiles_keys_reach_the_server(server):
    ask(server.endpoint(max_tokens=77, extra_body={"chat_template_kwargs": {"enable_thinking": False}}))
    assert server.asked[0]["max_tokens"] == 77
    assert server.asked[0]["chat_template_kwargs"] == {"enable_thinking": False}


def test_the_limit_is_generous_unless_the_profile_says_otherwise(server):
    ask(server.endpoint())
    assert server.asked[0]["max_tokens"] == 8192


def test_what_one_server_refuses_another_is_still_asked_for(server):
    server.answers = [
        lambda body: completion(json.dumps(GOOD)) if "seed" not in body else (400, "unknown parameter seed")
    ]
    ask(server.endpoint())
    ask(server.endpoint(model="other eyes"))
    assert ["seed" in body for body in server.asked] == [True, False, True, False]
