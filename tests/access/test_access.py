"""Who may do what, and what an answer costs."""

import pytest

from service.access.access import Access
from service.access.keys import ANYBODY, KeyFile, KeyLimits, Scope, new_key
from service.access.quotas import Usage, UsageStore
from service.errors import Forbidden, InvalidKey, MissingKey, QuotaExceeded, StoreFailed


@pytest.fixture
def secrets(tmp_path):
    """Keys by name: `user` may translate 10 characters a month, `boss` may administer."""
    made = {
        "user": new_key("user", limits=KeyLimits(characters_per_month=10)),
        "free": new_key("free"),
        "boss": new_key("boss", [Scope.ADMIN]),
    }
    (tmp_path / "keys").write_text("\n".join(line for _, line in made.values()), "utf-8")
    return {name: secret for name, (secret, _) in made.items()}


@pytest.fixture
def store():
    """Counts in memory."""
    return UsageStore(None)


@pytest.fixture
def access(tmp_path, secrets, store):
    """With keys."""
    assert secrets
    access = Access(KeyFile(tmp_path / "keys"), store)
    yield access
    access.close()


def test_a_key_opens_what_it_is_for(access, secrets):
    """Fails when scopes are not compared."""
    assert access.admit(secrets["user"]).name == "user"
    assert access.admit(secrets["boss"], Scope.ADMIN).name == "boss"
    assert access.admit(secrets["boss"], None).name == "boss"
    for name, scope in (("user", Scope.ADMIN), ("boss", Scope.TRANSLATE)):
        with pytest.raises(Forbidden):
            access.admit(secrets[name], scope)


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_key_is_no_wrong_key(access, nothing):
    """Callers learn which of the two it was; neither gets in."""
    with pytest.raises(MissingKey):
        access.admit(nothing, None)
    with pytest.raises(InvalidKey) as refused:
        access.admit("s2s_wrong", None)
    assert "s2s_wrong" not in str(refused.value)


def test_without_keys_everybody_translates_and_nobody_administers():
    """Fails when admin routes are open because nobody has set an admin key."""
    access = Access()
    assert access.admit(None) is ANYBODY
    assert access.admit("whatever", None) is ANYBODY
    with pytest.raises(Forbidden):
        access.admit("whatever", Scope.ADMIN)


async def test_only_an_answer_costs_characters(access, secrets):
    """Fails when a request that failed is not given back."""
    user = access.admit(secrets["user"])
    with pytest.raises(RuntimeError):
        async with access.charged(user, 10):
            raise RuntimeError
    async with access.charged(user, 10):
        pass
    assert await access.usage(user) == Usage(2, 10, 10)
    with pytest.raises(QuotaExceeded):
        async with access.charged(user, 1):
            pytest.fail("it was let in")


async def test_a_broken_disk_stops_only_those_with_limits(access, store, secrets):
    """Fails when limits are not looked after any more, or when keys without any are stopped."""
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreFailed):
        async with access.charged(access.admit(secrets["user"]), 1):
            pytest.fail("it was let in")
    async with access.charged(access.admit(secrets["free"]), 1):
        pass


async def test_nobody_is_counted_without_keys(access):
    """There is no name to count under."""
    async with access.charged(ANYBODY, 5):
        pass
    assert await access.usage(ANYBODY) == Usage(0, 0, None)
