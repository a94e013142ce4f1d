"""Which addresses are public."""

from __future__ import annotations

import pytest
from fetch_sites import PUBLIC

from genre_lib.service import addresses


@pytest.mark.parametrize(
    "text",
    [
        *(
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
        ),
        *("100.64.0.1", "100.127.255.255", "169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16"),
        *("192.0.0.1", "192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.88.99.1"),
        *("224.0.0.1", "232.1.1.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "100::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::ffff:0:127.0.0.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::8.8.8.8", "2002:7f00:1::", "2002:808:808::1"),
        *("2001:0:7f00:1::1", "2001:10::1", "2001:20::1", "3fff::1", "5f00::1", "4000::1", "fe80::1%eth0"),
    ],
)
def test_addresses_that_are_not_public(text: str):
    address = addresses.parse(text)
    assert address is not None
    assert not addresses.is_public(address)


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", PUBLIC, "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1",
     "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
)  # fmt: skip
def test_addresses_that_are_public(text: str):
    address = addresses.parse(text)
    assert address is not None
    assert addresses.is_public(address)
