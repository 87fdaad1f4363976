from __future__ import annotations

import pytest

from sedic.understanding.words.endpoints import Endpoint, EndpointError, read_endpoint

KEY = "sk-planted-0123456789"
GOOD = 'base_url = "http://127.0.0.1:8080/v1"\nmodel = "eyes"\n'


def write(tmp_path, text):
    path = tmp_path / "endpoints.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_profile_is_read_with_its_key_from_the_environment(tmp_path):
    path = write(tmp_path, f'[home]\n{GOOD}key_env = "EYES_KEY"\ntimeout = 7\n')
    endpoint = read_endpoint("home", path, {"EYES_KEY": KEY})
    assert endpoint == Endpoint("home", "http://127.0.0.1:8080/v1", "eyes", KEY, 7.0)


def test_further_keys_of_a_profile_are_read(tmp_path):
    more = 'max_tokens = 99\napi_version = "2024-10-21"\nextra_body = { reasoning_effort = "low" }\n'
    endpoint = read_endpoint("home", write(tmp_path, f"[home]\n{GOOD}{more}"))
    assert (endpoint.max_tokens, endpoint.api_version) == (99, "2024-10-21")
    assert endpoint.extra_body == {"reasoning_effort": "low"}


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("max_token", "has 'max_token', .* did you mean 'max_tokens'"),
        ("Base-URL", "has 'Base-URL', .* did you mean 'base_url'"),
        ("top_p", "has 'top_p', .* known are base_url, model, "),
        ("sk-planted-0123456789", "has a key, "),
    ],
)
def test_a_key_that_means_nothing_is_named(tmp_path, key, told):
    with pytest.warns(UserWarning, match=told) as caught:
        read_endpoint("home", write(tmp_path, f"[home]\n{GOOD}{key} = 1\n"))
    assert "planted" not in str(caught[0].message)


@pytest.mark.parametrize(
    ("given", "read", "version"),
    [
        ("http://localhost:8080/v1/", "http://localhost:8080/v1", ""),
        ("https://example.org/v1/chat/completions", "https://example.org/v1", ""),
        (
            "https://x.openai.azure.com/openai/deployments/eyes/chat/completions?api-version=2024-10-21",
            "https://x.openai.azure.com/openai/deployments/eyes",
            "2024-10-21",
        ),
    ],
)
def test_an_address_is_read_as_providers_print_it(tmp_path, given, read, version):
    endpoint = read_endpoint("home", write(tmp_path, f'[home]\nbase_url = "{given}"\nmodel = "eyes"\n'))
    assert (endpoint.base_url, endpoint.api_version) == (read, version)


def test_a_missing_file_is_named_with_what_to_write_into_it(tmp_path):
    with pytest.raises(EndpointError, match=r"no endpoint file .*nowhere\.toml; write it, e\.g\. .*base_url"):
        read_endpoint("home", tmp_path / "nowhere.toml")


def test_a_missing_profile_names_those_that_are_there(tmp_path):
    with pytest.raises(EndpointError, match=r"'work' is not in .*endpoints\.toml \(there: home\)"):
        read_endpoint("work", write(tmp_path, f"[home]\n{GOOD}"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'[home]\n{GOOD}key_env = "EYES_KEY"', "variable EYES_KEY .* not set"),
        ('[home]\nmodel = "eyes"', "needs 'base_url'"),
        ('[home]\nbase_url = "http://localhost/v1"\nmodel = 3', "needs 'model'"),
        ('[home]\nbase_url = "localhost:8080"\nmodel = "eyes"', "must look like http"),
        ('[home]\nbase_url = "http://localhost:99999/v1"\nmodel = "eyes"', "must look like http"),
        (f"[home]\n{GOOD}timeout = -1", "timeout .* above 0"),
        (f"[home]\n{GOOD}timeout = nan", "timeout .* above 0"),
        (f"[home]\n{GOOD}max_tokens = 0", "max_tokens .* above 0"),
        (f'[home]\n{GOOD}max_tokens = "many"', "max_tokens .* above 0"),
        (f"[home]\n{GOOD}extra_body = 3", "extra_body .* must be a table"),
        (f"[home]\n{GOOD}extra_body = {{ day = 2026-01-01 }}", "extra_body .* what JSON can say"),
        (
            '[home]\nbase_url = "https://x.openai.azure.com/openai/deployments/eyes"\nmodel = "eyes"',
            "api_version = .*/openai/v1",
        ),
        ('[home]\nbase_url = "https://x.openai.azure.com"\nmodel = "eyes"', "api_version = .*/openai/v1"),
        ("[home\n", "is not TOML"),
        ("home = 3", "is not a table"),
    ],
)
def test_a_profile_that_cannot_be_used_is_told_in_a_sentence(tmp_path, text, told):
    with pytest.raises(EndpointError, match=told) as caught:
        read_endpoint("home", write(tmp_path, text), {})
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f'[home]\n{GOOD}key_env = "{KEY}"',  # the key where its variable's name belongs
        f'[home]\n{GOOD}key_env = "gskplanted0123456789"',
        f'[home]\n{GOOD}key = "{KEY} {KEY}"',
        f'[home]\n{GOOD}key = "{KEY}é"',
        f'[home]\nkey = "{KEY}"',
        f'[home]\nbase_url = "http://me:{KEY}@localhost/v1"\nmodel = "eyes"',
        f'[home]\nkey = "{KEY}',
        f"[home]\nkey = {KEY}",
    ],
)
def test_no_error_shows_a_key(tmp_path, text):
    with pytest.raises(EndpointError) as caught:
        read_endpoint("home", write(tmp_path, text), {})
    error: BaseException | None = caught.value
    while error is not None:
        assert "planted" not in repr(error) + str(vars(error))
        error = error.__cause__ or error.__context__


def test_a_profile_does_not_print_its_key_or_password():
    endpoint = Endpoint("home", "http://me:secret@example.org:8080/v1", "eyes", KEY)
    assert KEY not in repr(endpoint)
    assert endpoint.host == "example.org:8080"
