"""The form of one request, a file and what is asked of it: read up to its model, then as an engine takes it.

Belongs here: which fields are read, how much of a form is held where, and what an engine is sent instead.
Does not: its syntax (multipart.py), how long a sound is (sound.py), connections (slipway.gateway.routing).

Where `model` comes before the file, the file is passed on as it comes and nothing of it is kept. Where it
comes after, as curl and browsers write forms, the file is held until it is known: a little in memory, more in
a temporary file without a name, and what is larger than that is refused.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterable, MutableMapping
from typing import IO, Any

from slipway.gateway.api.asgi import ClientGone, Receive
from slipway.gateway.api.errors import ApiError, Header, invalid
from slipway.gateway.api.multipart import PART_END, FormSplitter, FormWriter, Part, Piece, boundary_of
from slipway.gateway.api.sound import SoundMeter
from slipway.gateway.api.uploads import BodyMemory, busy, content_length, header_of

MAX_UPLOAD_BYTES = 2**30
# Of files that come before the model: ten times what OpenAI takes at all.
MAX_SPOOLED_BYTES = 256 * 2**20
MAX_FIELDS_BYTES = 2**20
# So much of a file is held in memory, to find the model behind it or to send it once more.
_HELD_BYTES = 256 * 1024
_ENOUGH_TO_TELL = 128
_PIECE_BYTES = 256 * 1024
# Fields that no client may set (slipway.gateway.request.salt), wherever in the form they are.
_OPERATORS = frozenset({"cache_salt"})
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})


class Form(dict[str, Any]):
    """The fields of a form by name, each as its first value; `upload` has the rest."""

    def __init__(self, fields: dict[str, str], upload: FormUpload) -> None:
        super().__init__(fields)
        self.upload = upload


def is_true(value: object) -> bool:
    """Whether the text of a field means yes, to engines."""
    return isinstance(value, str) and value.strip().lower() in _TRUE


class FormUpload:
    """The body of one request. Called, it is ASGI's `receive` for what comes after the body."""

    def __init__(self, receive: Receive, headers: Iterable[Header], org: str, room: BodyMemory) -> None:
        self._receive = receive
        self._content_type = header_of(headers, b"content-type").decode("latin-1")
        self._length = content_length(headers)
        self._org = org
        self._room = room
        self._taken = 0
        self._received = 0
        self._splitter: FormSplitter | None = None
        self._writer = FormWriter()
        self._fields: list[tuple[Part, bytes]] = []
        self._field: tuple[Part, list[bytes]] | None = None  # that is not whole yet
        self._fields_bytes = 0
        self._in_file = False
        self._files = 0
        self._has_model = False
        self._settled: frozenset[str] | set[str] = _OPERATORS  # fields that are not the client's any more
        self._held: list[bytes] = []  # of files, as an engine is sent them
        self._held_bytes = 0
        self._flows = False  # an engine is being sent it
        self._spooled: IO[bytes] | None = None
        self._spooled_bytes = 0
        self._read = asyncio.Event()
        self.sound = SoundMeter()
        self.can_be_sent_again = True
        self.fault: BaseException | None = None

    async def __call__(self) -> MutableMapping[str, Any]:
        """The message after the body, however long that takes."""
        await self._read.wait()
        return await self._receive()

    async def read_head(self) -> Form:
        """Read as much as says what is asked for. Raises ApiError, ClientGone."""
        self._splitter = FormSplitter(boundary_of(self._content_type))
        if self._length > MAX_UPLOAD_BYTES:
            raise _too_large()
        while not self.is_read:
            out = await self._next()
            if self._spooled is not None:
                await self._spool(out)
                continue
            self._hold(out)
            is_much = self._held_bytes > _HELD_BYTES
            if self._has_model and (is_much or self.sound.size_bytes >= _ENOUGH_TO_TELL):
                break
            if is_much:
                await self._begin_spool()
        if self._spooled is not None:
            await asyncio.to_thread(self._spooled.flush)
        self._flows = True
        if not self._files:
            raise invalid(
                "`file` is missing. Send the audio as a part of the form, with a file name.", "file"
            )
        fields: dict[str, str] = {}
        for part, value in self._fields:
            fields.setdefault(part.name, value.decode(errors="replace"))
        return Form(fields, self)

    @property
    def is_read(self) -> bool:
        """Whether the client has sent all of it."""
        return self._read.is_set()

    @property
    def content_type(self) -> str:
        """Of what an engine is sent."""
        return self._writer.content_type

    @property
    def held(self) -> list[bytes]:
        """What is in memory of the files, as an engine is sent them."""
        return self._held

    def head(self, form: Form) -> bytes:
        """The fields for an engine, as they are in `form` by now; what comes behind the file changes none."""
        sent: dict[str, str] = {}
        for part, value in self._fields:
            sent.setdefault(part.name, value.decode(errors="replace"))
        changed = {name: value for name, value in form.items() if sent.get(name) != value}
        fields = [self._writer.field(Part(name), str(value).encode()) for name, value in changed.items()]
        kept = form.keys() - changed.keys()
        fields += [self._writer.field(*field) for field in self._fields if field[0].name in kept]
        self._settled = _OPERATORS | changed.keys()
        return b"".join(fields)

    @property
    def end(self) -> bytes:
        """What comes after the last file."""
        return self._writer.end

    @property
    def size_bytes(self) -> int | None:
        """Of the files, as an engine is sent them; None while some still come."""
        return self._held_bytes + self._spooled_bytes if self.is_read else None

    async def spooled(self, offset_bytes: int) -> bytes:
        """Some of what is on disk of the files; nothing at its end."""
        if self._spooled is None:
            return b""
        return await asyncio.to_thread(os.pread, self._spooled.fileno(), _PIECE_BYTES, offset_bytes)

    async def more(self) -> bytes:
        """What comes next of the files, for an engine. Raises ApiError, ClientGone: `fault` tells which."""
        try:
            out = b"".join(await self._next())
        except (ApiError, ClientGone) as fault:
            self.fault = fault
            self.can_be_sent_again = False
            raise
        if self.can_be_sent_again:
            self._hold([out])  # also what comes next, as long as it is little
            if self._held_bytes > _HELD_BYTES:
                self.can_be_sent_again = False
                self._held, self._held_bytes = [], 0
        return out

    def sound_ms(self) -> tuple[int, bool]:
        """How long the file plays, and whether that is known; else at most, by its bytes, here or to come."""
        size_bytes = self.sound.size_bytes if self.is_read else (self._length or MAX_UPLOAD_BYTES)
        measured = self.sound.measured_ms() if self.is_read else None
        return (self.sound.most_ms(size_bytes), False) if measured is None else (measured, True)

    def close(self) -> None:
        """The request has ended. Harmless twice."""
        if self._spooled is not None:
            self._spooled.close()
            self._spooled = None
        taken, self._taken = self._taken, 0
        if taken:
            self._room.give_back(self._org, taken)

    async def _next(self) -> list[bytes]:
        """The next of what the client sends, as an engine is sent it."""
        assert self._splitter is not None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        data = message.get("body", b"")
        self._received += len(data)
        if self._received > MAX_UPLOAD_BYTES:
            raise _too_large()
        out = [written for piece in self._splitter.feed(data) for written in self._written(piece)]
        if not message.get("more_body"):
            self._splitter.end()
            self._read.set()
        return out

    def _written(self, piece: Piece) -> tuple[bytes, ...]:
        if isinstance(piece, bytes):
            if self._in_file:
                if self._files == 1:
                    self.sound.feed(piece)
                return (piece,)
            self._add_to_field(piece)
            return ()
        if isinstance(piece, Part):
            self._in_file = piece.filename is not None or piece.name == "file"
            if self._in_file:
                if piece.name == "model":
                    raise invalid("`model` must be a field of text, not a file.", "model")
                self._files += 1
                return (self._writer.head(piece),)
            self._field = (piece, [])
            self._count_fields(len(piece.name))
            return ()
        assert piece is PART_END
        return (b"\r\n",) if self._in_file else self._end_field()

    def _add_to_field(self, piece: bytes) -> None:
        assert self._field is not None
        self._field[1].append(piece)
        self._count_fields(len(piece))

    def _count_fields(self, size_bytes: int) -> None:
        self._fields_bytes += size_bytes
        if self._fields_bytes > MAX_FIELDS_BYTES:
            raise invalid(f"The fields beside the file exceed {MAX_FIELDS_BYTES} bytes.", None, status=413)

    def _end_field(self) -> tuple[bytes, ...]:
        assert self._field is not None
        part, value = self._field[0], b"".join(self._field[1])
        if part.name == "model":
            if self._has_model:
                raise invalid("`model` is there twice. Send it once.", "model")
            self._has_model = True
            _check_utf8(value)
        if part.name in self._settled:
            return ()
        if self._flows:
            return (self._writer.field(part, value),)
        self._fields.append((part, value))
        return ()

    def _hold(self, out: list[bytes]) -> None:
        self._held += out
        self._held_bytes += sum(map(len, out))

    async def _begin_spool(self) -> None:
        """The file is large, and its model is not known yet: all of it is held, on disk."""
        if self._length > MAX_SPOOLED_BYTES:
            raise _model_too_late()
        size_bytes = self._length or MAX_SPOOLED_BYTES
        await self._room.take(self._org, size_bytes)
        self._taken = size_bytes
        held, self._held, self._held_bytes = self._held, [], 0
        try:
            self._spooled = await asyncio.to_thread(tempfile.TemporaryFile)
        except OSError as error:
            raise busy() from error
        await self._spool(held)

    async def _spool(self, out: list[bytes]) -> None:
        assert self._spooled is not None
        if self._received > MAX_SPOOLED_BYTES:
            raise _model_too_late()
        data = b"".join(out)
        self._spooled_bytes += len(data)
        try:
            await asyncio.to_thread(self._spooled.write, data)
        except OSError as error:
            raise busy() from error


def _check_utf8(model: bytes) -> None:
    try:
        model.decode()
    except UnicodeDecodeError as error:
        raise invalid("`model` must be UTF-8.", "model") from error


def _too_large() -> ApiError:
    return invalid(f"The request body exceeds {MAX_UPLOAD_BYTES} bytes.", None, status=413)


def _model_too_late() -> ApiError:
    return invalid(
        f"`model` comes after a file of more than {MAX_SPOOLED_BYTES} bytes. Send `model` before `file`, "
        "which is passed on then as it comes.",
        "model",
    )
