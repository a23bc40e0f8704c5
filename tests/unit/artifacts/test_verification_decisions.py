from datetime import UTC, datetime

from slipway.artifacts.weights.manifest import Manifest, ManifestFile
from slipway.artifacts.weights.verification import draw, listed_wrong

SHA = "0" * 64
FILES = tuple(ManifestFile(path=f"{n:02}.bin", size_bytes=10 * n, sha256=SHA) for n in range(1, 21))
MANIFEST = Manifest(
    name="m",
    source="hf://o/m@main",
    commit="0" * 40,
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    files=FILES,
)


def test_a_listing_shows_what_is_missing_of_another_size_or_too_much() -> None:
    stored = {file.path: file.size_bytes for file in FILES} | {"manifest.json": 7}
    assert listed_wrong(MANIFEST, stored) == []
    del stored["01.bin"]
    stored |= {"02.bin": 21, "extra.bin": 1}
    assert {each.path: each.problem.split(";")[0] for each in listed_wrong(MANIFEST, stored)} == {
        "01.bin": "missing",
        "02.bin": "21 bytes",
        "extra.bin": "is not in the manifest",
    }


def test_a_sample_holds_its_share_of_the_bytes_and_no_more_files_than_that_needs() -> None:
    total = sum(file.size_bytes for file in FILES)
    for seed in range(20):
        drawn = draw(FILES, 0.3, seed)
        assert sum(file.size_bytes for file in drawn) >= 0.3 * total
        assert sum(file.size_bytes for file in drawn[:-1]) < 0.3 * total


def test_the_same_seed_draws_the_same_files_and_many_seeds_draw_every_file() -> None:
    assert draw(FILES, 0.1, 7) == draw(FILES, 0.1, 7)
    assert {file for seed in range(100) for file in draw(FILES, 0.1, seed)} == set(FILES)


def test_at_least_one_file_is_drawn_if_there_is_any() -> None:
    assert len(draw(FILES, 0.0, 1)) == 1
    assert draw([], 0.5, 1) == []
