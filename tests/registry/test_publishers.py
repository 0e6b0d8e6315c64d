"""One result, many publishers: exactly one wins, and nobody ever sees files of two."""

import pytest

from tests.registry.publishers import publish_at_once


@pytest.mark.parametrize("back_end", ["local", "gcs"])
def test_of_16_publishers_exactly_one_wins_each_result(back_end, request):
    uri = request.getfixturevalue("bucket_uri" if back_end == "gcs" else "tmp_path")
    won = publish_at_once(str(uri), publishers=16, results=4)
    assert len(won) == 4
