"""The content door: LFS files behind signed links on a host and port of their own.

Belongs here: checking the link and sending the file.
Does not: making links (doors.py), who may have one (api.py).
"""

from __future__ import annotations

from slipway.stack.standin_hub.bodies import Handler


class CdnHandler(Handler):
    """Answers `/<repo>/<sha256>/<path>?signature=...`."""

    def get(self, path: str, query: str) -> None:
        """Send the file of a link that this hub signed."""
        if path == "/-/health":
            self.reply_json({"status": "ok", "standin": True})
            return
        linked = self.standin.linked_file(path, query)
        if linked is None:
            self.reply(403, b"signature does not match")
            return
        if self.headers.get("Authorization"):
            # As S3 does for a presigned link; it also catches a token that leaks to another host.
            self.reply(400, b"only one auth mechanism allowed")
            return
        name, file = linked
        faults = self.standin.faults.take("cdn", name)
        if self.struck_down(faults):
            return
        self.standin.count_request(self.command, name)
        self.send_file(file, {"ETag": f'"{file.sha256}"'}, faults)
