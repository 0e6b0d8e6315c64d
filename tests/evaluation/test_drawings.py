import pytest

from sightline.evaluation.drawings import worst_and_spread

IMAGES = [{"id": number, "file_name": f"{number}.png"} for number in range(1, 11)]


@pytest.mark.parametrize(
    ("number", "mistakes", "expected"),
    [
        (4, {3: 1, 7: 5, 9: 2}, [7, 9, 1, 5]),  # two worst, then two of the other eight, evenly
        (4, {}, [1, 3, 6, 8]),
        (4, {2: 1}, [2, 1, 5, 8]),
        (1, {8: 1}, [8]),
        (0, {8: 1}, []),
        (20, {8: 1}, [8, 1, 2, 3, 4, 5, 6, 7, 9, 10]),
    ],
)
def test_half_of_the_drawn_images_are_those_with_the_most_mistakes(number, mistakes, expected):
    assert [image["id"] for image in worst_and_spread(IMAGES, number, mistakes)] == expected
