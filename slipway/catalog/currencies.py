"""Currencies of ISO 4217 (list one, 2026) and their minor units: of prices, and of what invoices round to.

Belongs here: the codes, and how many digits each has after the point.
Does not: names and symbols for people, what is rounded when (billing).

A table of our own: CLDR, which libraries carry, knows codes that were withdrawn long ago, and says how money
is written, which is other digits than ISO's for some twenty currencies (IQD, CRC, HUF).
"""

from __future__ import annotations

_DIGITS: dict[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    # BGN went over into EUR in 2026: what was billed before stays readable.
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
        "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
        "GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR "
        "LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD "
        "PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC "
        "SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR "
        "ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_MINOR_UNITS = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}
# Metals, funds and codes for tests: ISO gives them no minor unit, so that no invoice can be rounded to one.
_WITHOUT_MINOR_UNIT = frozenset(
    ("XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX")
)


def minor_units(currency: str) -> int:
    """Digits after the point that an amount of a currency has (USD 2, JPY 0, KWD 3).

    Raises ValueError for what is no currency of ISO 4217, or has no minor unit.
    """
    if currency in _MINOR_UNITS:
        return _MINOR_UNITS[currency]
    if currency in _WITHOUT_MINOR_UNIT:
        raise ValueError(
            f"{currency} has no minor unit, so that no invoice can be in it. Write a currency, such as USD"
        )
    raise ValueError("no currency of ISO 4217. Write one, such as USD or EUR")
