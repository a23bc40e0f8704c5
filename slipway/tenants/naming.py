"""Names and instants that people give: which can be kept and shown.

Belongs here: checks before something is written. Does not: whether it exists (a module per table).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from slipway.tenants.trouble import RefusedChangeError

# So far the clocks of two machines may be apart.
CLOCKS_APART = timedelta(hours=1)
_LONGEST = 255
_LONGEST_EMAIL = 320


def checked_name(field: str, name: str) -> str:
    """The name, if it is one. Raises RefusedChangeError."""
    if not name.strip():
        raise RefusedChangeError(f"{field} is empty. Give a name.", field=field)
    return checked_text(field, name)


def checked_text(field: str, text: str, longest: int = _LONGEST) -> str:
    """The text, which may be empty, if it can be shown and kept. Raises RefusedChangeError."""
    if not text.isprintable():
        raise RefusedChangeError(f"{field} holds a character that cannot be shown. Remove it.", field=field)
    if len(text) > longest:
        raise RefusedChangeError(f"{field} has {len(text)} characters. Use {longest} at most.", field=field)
    return text


def checked_email(email: str | None) -> str | None:
    """The address, or None. Raises RefusedChangeError for what has no `@` between two parts."""
    if email is None:
        return None
    local, at, domain = checked_text("email", email, _LONGEST_EMAIL).rpartition("@")
    if not (local and at and domain) or " " in email:
        raise RefusedChangeError(f"email = {email!r} is no e-mail address.", field="email")
    return email


def checked_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    """The instant, which must be ahead; None for never. Raises RefusedChangeError."""
    if expires_at is not None and expires_at <= now:
        when = expires_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        raise RefusedChangeError(f"expires_at = {when} is past. Name a later instant.", field="expires_at")
    return expires_at
