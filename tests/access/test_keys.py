"""Keys: what a file may say, whose a key is, and that nothing shows one."""

import hmac
import logging
import os

import pytest

from service.access.keys import (
    RELOAD_SECONDS,
    Caller,
    KeyFile,
    KeyFileError,
    KeyLimits,
    Scope,
    new_key,
    read_keys,
)

BOTH = (Scope.TRANSLATE, Scope.ADMIN)


class Clock:
    """Goes on when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def path(tmp_path):
    """A file with a key of `web`."""
    return tmp_path / "keys"


def write(path, *lines):
    """Replaces the file, as a mounted Secret is replaced."""
    new = path.with_suffix(".new")
    new.write_text("\n".join(lines), "utf-8")
    os.replace(new, path)


def test_a_new_key_is_found_under_its_name(path):
    """With scopes and limits, as they were given."""
    limits = KeyLimits(60, None, 500_000)
    secret, line = new_key("web", BOTH, limits)
    other, other_line = new_key("phone")
    write(path, "# name scopes hash limits", "", line, other_line)
    keys = KeyFile(path)
    assert keys.find(secret) == Caller("web", frozenset(BOTH), limits)
    assert keys.find(other) == Caller("phone", frozenset({Scope.TRANSLATE}))
    assert keys.find(secret + "x") is None
    assert keys.find("\ud800") is None


def test_the_file_holds_no_key():
    """Fails when keys are stored and not hashed."""
    secret, line = new_key("web")
    assert secret not in line
    assert len(secret) > 40
    assert secret != new_key("web")[0]


def test_every_key_is_compared_whichever_it_is(path, monkeypatch):
    """Fails when the search ends at the first match or compares in a way that takes longer the
    more is right."""
    secrets, lines = zip(*(new_key(f"k{i}") for i in range(5)), strict=True)
    write(path, *lines)
    keys = KeyFile(path)
    compared = []

    def compare(one, other):
        compared.append(one)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for secret in (secrets[0], secrets[4], "wrong"):
        compared.clear()
        keys.find(secret)
        assert len(compared) == 5


def test_a_changed_file_is_read_again(path):
    """Fails when keys are read at the start only: a revoked key must not work on."""
    clock = Clock()
    old, line = new_key("old")
    write(path, line)
    keys = KeyFile(path, clock)
    new, line = new_key("new", BOTH)
    write(path, line)
    assert keys.find(old) is not None
    clock.now += RELOAD_SECONDS
    assert keys.find(old) is None
    assert keys.find(new) == Caller("new", frozenset(BOTH))


def test_a_mounted_secret_is_read_again(tmp_path):
    """Fails when the link is looked at and not what it leads to: Kubernetes lets `keys` point into
    `..data`, and exchanges that link alone."""
    clock = Clock()
    secrets = []
    for version in ("..1", "..2"):
        secret, line = new_key("web")
        secrets.append(secret)
        (tmp_path / version).mkdir()
        (tmp_path / version / "keys").write_text(line, "utf-8")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys").symlink_to("..data/keys")
    keys = KeyFile(tmp_path / "keys", clock)
    assert keys.find(secrets[0]) is not None
    (tmp_path / "..new").symlink_to("..2")
    os.replace(tmp_path / "..new", tmp_path / "..data")
    clock.now += RELOAD_SECONDS
    assert [keys.find(secret) is not None for secret in secrets] == [False, True]


@pytest.mark.parametrize("slip", ["broken", None])
def test_a_slip_changes_nothing(path, slip, caplog):
    """A file that is broken or gone locks nobody out, and is told of."""
    clock = Clock()
    secret, line = new_key("web")
    write(path, line)
    keys = KeyFile(path, clock)
    if slip is None:
        path.unlink()
    else:
        write(path, slip)
    clock.now += RELOAD_SECONDS
    with caplog.at_level(logging.ERROR):
        assert keys.find(secret) is not None
    assert "the keys stay as they were" in caplog.text


def test_all_faults_are_told_at_once(path):
    """By their lines; what stands there is not repeated, it could be a key."""
    good = new_key("twice")[1]
    hashed = good.split()[2]
    write(
        path,
        good,
        "s2s_secret",
        f"web s2s_secret {hashed}",
        "web translate s2s_secret",
        f"s2s/secret translate {hashed}",
        f"web translate {hashed} s2s_secret=1",
        f"web translate {hashed} requests_per_minute=0",
        f"web translate {hashed} requests_per_minute=" + "9" * 5000,
        good,
    )
    with pytest.raises(KeyFileError) as refused:
        read_keys(path)
    lines = [fault.split(":")[0] for fault in refused.value.faults]
    assert lines[:7] == [f"line {n}" for n in range(2, 9)]
    assert "name twice is there twice" in refused.value.faults
    assert "s2s_secret" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused_at_the_start(path):
    """Nobody serves without keys by mistake."""
    with pytest.raises(KeyFileError, match="No such file"):
        KeyFile(path)


def test_a_name_must_fit_into_the_file():
    """No white space, no line breaks."""
    with pytest.raises(ValueError, match="no name"):
        new_key("a b")
