"""The address that the officer's browser is given: the certificate's name, where the laptop knows it."""

from __future__ import annotations

import pytest
from car_page import UNIT

from firmware.commands.logon import address_by_name, resolved
from sync.membership import page_host

NAME = page_host(UNIT)


@pytest.mark.parametrize(
    ("address", "name", "number", "expected"),
    [
        ("https://192.168.10.2:8467", NAME, "192.168.10.2", f"https://{NAME}:8467"),
        ("https://192.168.10.2", NAME, "192.168.10.2", f"https://{NAME}"),
        ("https://192.168.10.2:8467/", NAME, "192.168.10.2", f"https://{NAME}:8467/"),
        pytest.param("https://192.168.10.2:8467", NAME, "192.168.10.3", "", id="the name is another machine"),
        pytest.param("https://192.168.10.2:8467", NAME, "", "", id="the laptop does not know the name"),
        pytest.param("https://192.168.10.2:8467", "", "192.168.10.2", "", id="a certificate without a name"),
        pytest.param(f"https://{NAME}:8467", NAME, "192.168.10.2", "", id="the officer typed the name"),
    ],
)
def test_the_page_is_opened_by_the_certificates_name_only_where_it_is_that_unit(
    address: str, name: str, number: str, expected: str
) -> None:
    assert address_by_name(address, name, lambda _name: number) == expected


def test_a_name_that_the_laptop_does_not_know_is_empty() -> None:
    assert resolved("unit-that-is-not-there.invalid") == ""
    assert resolved("localhost") == "127.0.0.1"
