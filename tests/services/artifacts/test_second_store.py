"""The same promises on another S3 than SeaweedFS: nothing hangs on one store's ways (docs/adr/0021)."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from slipway.environment import S3Location
from slipway.objectstore import ObjectStore

from ..conftest import remove_bucket
from ..test_objectstore import (
    test_an_unchanged_object_is_not_read_again,
    test_listing_is_in_key_order_and_deleting_twice_is_harmless,
    test_of_many_writers_who_create_the_same_key_exactly_one_wins,
)
from .test_collection import (
    test_a_dry_run_says_what_would_go_and_changes_nothing,
    test_a_rollout_that_starts_when_its_weights_are_marked_waits_and_keeps_them,
    test_what_any_recorded_revision_names_is_kept_until_its_record_is_gone,
    test_what_nobody_names_is_removed_with_everything_that_belonged_to_it,
)
from .test_pull import (
    test_a_pull_publishes_every_byte_of_the_commit,
    test_of_two_pulls_at_a_time_one_publishes_and_both_return_it,
    test_verify_finds_every_way_in_which_stored_files_can_be_wrong,
)
from .test_pull_killed import (
    kill_when,
    part_bytes_stored,
    pulling,
    start,
    test_killed_between_publishing_and_clearing_up_leaves_nothing_after_the_next_pull,
)

__all__ = [
    "part_bytes_stored",
    "pulling",
    "start",
    "test_a_dry_run_says_what_would_go_and_changes_nothing",
    "test_a_pull_publishes_every_byte_of_the_commit",
    "test_a_rollout_that_starts_when_its_weights_are_marked_waits_and_keeps_them",
    "test_an_unchanged_object_is_not_read_again",
    "test_killed_between_publishing_and_clearing_up_leaves_nothing_after_the_next_pull",
    "test_listing_is_in_key_order_and_deleting_twice_is_harmless",
    "test_of_many_writers_who_create_the_same_key_exactly_one_wins",
    "test_of_two_pulls_at_a_time_one_publishes_and_both_return_it",
    "test_verify_finds_every_way_in_which_stored_files_can_be_wrong",
    "test_what_any_recorded_revision_names_is_kept_until_its_record_is_gone",
    "test_what_nobody_names_is_removed_with_everything_that_belonged_to_it",
]


@pytest.fixture
def store(moto: S3Location) -> Iterator[ObjectStore]:
    """An empty bucket of its own on the running moto server, in the place of SeaweedFS's."""
    found = ObjectStore(replace(moto, bucket=f"t-{uuid.uuid4().hex[:12]}"))
    found.ensure_bucket()
    yield found
    remove_bucket(found)


def test_killed_inside_a_file_fetches_less_than_all_of_it_again(
    pulling, part_bytes_stored, hub, tiny, pull, content, uploads_left
):
    """moto states a part's size some bytes too large, so what was fetched is not compared to the byte."""
    kill_when(pulling, lambda: part_bytes_stored() > 0)
    stored = part_bytes_stored()
    hub.faults.clear()
    before = hub.body_bytes
    manifest = pull(tiny)
    assert hub.body_bytes - before <= content.size_bytes - stored + 1024
    assert manifest.size_bytes == content.size_bytes
    assert uploads_left() == []
