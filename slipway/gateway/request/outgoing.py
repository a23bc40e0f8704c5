"""A request's body on its way to an engine: in one piece, or as its client sends it.

Belongs here: aiohttp's payloads, and what the connection to an engine must know of them.
Does not: what is in a body (slipway.gateway.api), choosing an engine (slipway.gateway.routing).
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from slipway.gateway.api.forms import Form, FormUpload
from slipway.gateway.usage.call import Call
from slipway.records.usage import Units


class WholeBody(aiohttp.BytesPayload):
    """A body in one piece, which notes when an engine has been sent all of it."""

    can_be_sent_again = True
    deadline: asyncio.Timeout | None = None

    def __init__(self, body: bytes, call: Call) -> None:
        super().__init__(body, content_type="application/json")
        self.whole: bytes | None = body
        self._call = call

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """As the base class does."""
        await super().write_with_length(writer, content_length)
        self._call.hand_over()


class FormBody(aiohttp.Payload):
    """A form: the engine gets what is held of it, and then what comes.

    While its client is waited for, no engine is late: `deadline`, where there is one, stands still.
    """

    whole = None

    def __init__(self, form: Form, call: Call, timeout_s: float) -> None:
        upload = form.upload
        super().__init__(form, content_type=upload.content_type)
        self._upload = upload
        self._head = upload.head(form)
        self._call = call
        self._timeout_s = timeout_s
        self.deadline: asyncio.Timeout | None = None

    @property
    def can_be_sent_again(self) -> bool:
        """Whether all that an engine has been sent is still here."""
        return self._upload.can_be_sent_again

    @property
    def size(self) -> int | None:
        """In bytes; None while some of it still comes."""
        files = self._upload.size_bytes
        return None if files is None else len(self._head) + files + len(self._upload.end)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> NoReturn:
        """It is never all there."""
        raise TypeError("a form is not read as a text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send all of it."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send all of it; its length is told by `size` where it is known."""
        upload = self._upload
        await writer.write(self._head)
        for piece in tuple(upload.held):
            await writer.write(piece)
        offset_bytes = 0
        while piece := await upload.spooled(offset_bytes):
            await writer.write(piece)
            offset_bytes += len(piece)
        while not upload.is_read:
            self._pause()
            piece = await upload.more()
            self._go_on()
            if piece:
                await writer.write(piece)
        hand_over(upload, self._call)
        # Here, because aiohttp lets nobody know when its own fails.
        await writer.write_eof(upload.end)

    def _pause(self) -> None:
        if self.deadline is not None:
            self.deadline.reschedule(None)

    def _go_on(self) -> None:
        if self.deadline is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + self._timeout_s)


def hand_over(upload: FormUpload, call: Call) -> None:
    """An engine works for it from now on: what it was sent counts, unless it says what it has heard."""
    length_ms, is_known = upload.sound_ms()
    call.units = Units(input_audio_ms=length_ms)
    call.units_by = "gateway" if is_known else "bound"
    call.hand_over()


Body = WholeBody | FormBody
