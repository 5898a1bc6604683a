"""Accounts of a Windows computer: what can be asked of the system itself, where there is one."""

from __future__ import annotations

import sys

import pytest

from stayon.platforms.windows.accounts import WindowsAccounts

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="needs a Windows to ask")


def test_well_known_names_have_their_sids() -> None:
    """A name is looked up, whatever its language; one that nobody has is no error."""
    accounts = WindowsAccounts()

    assert accounts.sid("NT AUTHORITY\\LocalService") in ("S-1-5-19", "")  # "" where it has a name in another language
    assert accounts.sid("nobody-has-this-name-4711") == ""


def test_an_account_without_the_right_has_it_not() -> None:
    """Guests may not log on as a service."""
    accounts = WindowsAccounts()
    guest = next((name for name in ("Guest", "Gast", "Invité") if accounts.sid(name)), "")
    if not guest:
        pytest.skip("this computer has no guest account")

    assert not accounts.may_log_on(guest)
