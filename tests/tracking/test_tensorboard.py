"""What TensorBoard's own reader finds."""

import io

import numpy as np
import pytest

from sightline.tracking import PrecisionRecallCurve, TrackedImage, TrackedTraining, open_trackers

pytest.importorskip("tensorboard", reason="tensorboard is not installed")

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.usefixtures("ordered_event_files")]


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def test_images_are_shown_by_their_captions(tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    tracker = open_trackers(["tensorboard"], TrackedTraining(tmp_path))
    for iteration in (100, 200):
        tracker.log_images(iteration, "val/predictions", [TrackedImage(pixels, "a.png"), TrackedImage(pixels)])
    tracker.close()
    found = events(tmp_path)
    assert sorted(found.Tags()["images"]) == ["val/predictions/1", "val/predictions/a.png"]
    shown = found.Images("val/predictions/a.png")
    assert [event.step for event in shown] == [100, 200]
    assert np.array_equal(np.array(Image.open(io.BytesIO(shown[0].encoded_image_string))), pixels)


def test_a_curve_falls_in_precision_as_its_recall_rises(tmp_path):
    from tensorboard.plugins.pr_curve.metadata import PLUGIN_NAME
    from tensorboard.util.tensor_util import make_ndarray

    tracker = open_trackers(["tensorboard"], TrackedTraining(tmp_path))
    recall = np.linspace(0, 1, 1001)
    tracker.log_curves(5, "val/mask", [PrecisionRecallCurve("cat", recall, 1 - recall / 2)])
    tracker.close()
    found = events(tmp_path)
    assert set(found.PluginTagToContent(PLUGIN_NAME)) == {"val/mask/cat"}
    (event,) = found.Tensors("val/mask/cat")
    true, false, _, _, precision, found_recall = make_ndarray(event.tensor_proto)
    assert event.step == 5
    assert (found_recall[0], found_recall[-1]) == (1.0, 0.0)  # the first threshold is the lowest
    assert np.allclose(precision, 1 - found_recall / 2)
    assert (true + false > 0).all()  # the page leaves out points without predictions


def test_the_configuration_is_shown_as_text_and_parameters(tmp_path):
    from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG, parse_session_start_info_plugin_data
    from tensorboard.util.tensor_util import make_ndarray

    tracker = open_trackers(["tensorboard"], TrackedTraining(tmp_path))
    tracker.log_parameters({"seed": 0, "train.best_metric": "mask_AP", "model.name": None, "rate": 0.5, "on": True})
    tracker.close()
    found = events(tmp_path)
    (text,) = make_ndarray(found.Tensors("configuration/text_summary")[0].tensor_proto)
    assert b"| train.best_metric | `mask_AP` |" in text
    content = found.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
    parameters = parse_session_start_info_plugin_data(content).hparams
    assert set(parameters) == {"seed", "train.best_metric", "rate", "on"}
    assert parameters["rate"].number_value == 0.5


def test_a_resumed_training_shows_nothing_twice(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    for resume_iteration in (0, 4):
        tracker = open_trackers(["tensorboard"], TrackedTraining(tmp_path, resume_iteration))
        tracker.log_parameters({"seed": 0})
        for iteration in range(resume_iteration + 1, 8):
            tracker.log_metrics(iteration, {"loss": float(resume_iteration)})
            tracker.log_images(iteration, "val", [TrackedImage(pixels)])
        tracker.close()
    found = events(tmp_path)
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [
        *((iteration, 0.0) for iteration in range(1, 5)),
        *((iteration, 4.0) for iteration in range(5, 8)),
    ]
    assert [event.step for event in found.Images("val/0")] == list(range(1, 8))
    assert len(found.Tensors("configuration/text_summary")) == 1


def test_a_killed_training_has_what_it_logged(tmp_path):
    """Without a close: the writer itself would write only every two minutes."""
    tracker = open_trackers(["tensorboard"], TrackedTraining(tmp_path))
    for iteration in range(1, 6):
        tracker.log_metrics(iteration, {"loss": 1.0})
    (guard,) = tracker._trackers
    assert guard._outbox.close(5) == []
    assert [event.step for event in events(tmp_path).Scalars("loss")] == [1, 2, 3, 4, 5]


def test_an_error_is_shown_without_secrets(tmp_path):
    from tensorboard.util.tensor_util import make_ndarray

    tracker = open_trackers(["tensorboard"], TrackedTraining(tmp_path))
    tracker.failed(ValueError("cannot fetch https://me:s3cret@host/data"))
    tracker.close()
    (text,) = make_ndarray(events(tmp_path).Tensors("error/text_summary")[0].tensor_proto)
    assert text == b"ValueError: cannot fetch https://***@host/data"
