"""Training resumes after an interruption; an exported net keeps its names and answers (extra `train`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.training.feeder import Batch, FeederError, batches

tf = pytest.importorskip("tensorflow", reason="the extra train is not installed")
keras = pytest.importorskip("keras", reason="the extra train is not installed")

pytestmark = [  # warnings of TensorFlow's own code, which this project cannot change
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]


def _net() -> Any:
    keras.utils.set_random_seed(3)
    patch = keras.Input((8, 8, 1), name="luma")
    x = keras.layers.Conv2D(4, 3, activation="relu")(patch)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(patch, {"sum": keras.layers.Dense(1, name="sum")(keras.layers.Flatten()(x))})


def _batches(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    while True:
        luma = rng.uniform(0, 1, (16, 8, 8, 1)).astype(np.float32)
        yield luma, luma.mean(axis=(1, 2, 3))[:, None].astype(np.float32)


def _loss(batch: Any, out: Any) -> dict[str, Any]:
    return {"loss": tf.reduce_mean(tf.square(out["sum"] - batch[1]))}


def test_an_interrupted_run_resumes_from_its_checkpoint_and_learns(tmp_path: Path) -> None:
    from detector.training.loop import TrainingPlan, load_averaged, train

    plan = TrainingPlan(
        steps=300, peak_rate=0.01, warm_up=10, checkpoint_every=50, log_every=50, ema_momentum=0.9
    )
    assert not train(_net(), _loss, _batches(), tmp_path, plan, stop_after_s=0.0)
    cut_at = json.loads((tmp_path / "progress.json").read_text())["step"]
    assert 0 < cut_at < 300
    assert train(_net(), _loss, _batches(), tmp_path, plan)
    net = _net()
    assert load_averaged(net, tmp_path) == 300
    luma, mean = next(_batches(5))
    assert float(_loss((luma, mean), net(luma))["loss"]) < 0.02
    steps = [int(line.split(",")[0]) for line in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert steps == sorted(set(steps))


def test_a_step_takes_bytes_as_the_device_gives_them_to_the_net() -> None:
    """Scaled to 0..1 for every dtype: a net trained on 0..255 would read nothing once released."""
    from detector.training.steps import as_input

    luma = np.array([[0, 51, 255]], np.uint8)
    for given in (luma, tf.constant(luma)):
        np.testing.assert_allclose(as_input(given), [[0.0, 0.2, 1.0]], atol=1e-6)
    compiled = tf.function(as_input)
    np.testing.assert_allclose(compiled(tf.constant(luma)), [[0.0, 0.2, 1.0]], atol=1e-6)
    np.testing.assert_allclose(as_input(luma / np.float32(255)), [[0.0, 0.2, 1.0]], atol=1e-6)


def test_an_int8_export_keeps_its_names_and_answers() -> None:
    from ai_edge_litert.interpreter import Interpreter

    from detector.training.export import to_int8

    net = _net()
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (8, 8)).astype(np.uint8) for _ in range(50)]
    runner = Interpreter(model_content=to_int8(net, pictures)).get_signature_runner()
    assert list(runner.get_output_details()) == ["sum"]
    scale, zero = runner.get_output_details()["sum"]["quantization"]
    for picture in pictures[:5]:
        real = float(net(picture[None, ..., None].astype(np.float32) / 255)["sum"][0, 0])
        got = (float(runner(luma=picture[None, ..., None])["sum"][0, 0]) - zero) * scale
        assert got == pytest.approx(real, abs=4 * scale + 0.02)


def test_a_training_continues_from_a_released_file(tmp_path: Path) -> None:
    from detector.training.detector_net import build_detector
    from detector.training.export import to_int8
    from detector.training.warm_start import WarmStartError, warm_start

    rng = np.random.default_rng(2)
    pictures = rng.integers(0, 256, (12, 64, 128)).astype(np.uint8)
    keras.utils.set_random_seed(4)
    first = build_detector(64, 128)
    released = tmp_path / "plate-detector.tflite"
    released.write_bytes(to_int8(first, pictures))
    second = build_detector(None, None)
    batch = pictures[..., None].astype(np.float32) / np.float32(255)
    assert warm_start(second, released, batch) == 27
    told, wanted = (np.asarray(net(batch, training=False)["box"]) for net in (second, first))
    assert np.corrcoef(told.ravel(), wanted.ravel())[0, 1] > 0.98
    with pytest.raises(WarmStartError, match="fit the net"):
        warm_start(_net(), released, batch[:, :8, :8])


def test_the_state_namer_keeps_the_readers_first_layers_and_fits_its_last_in_closed_form() -> None:
    from detector.reader import MODELS
    from detector.training import state_net

    rng = np.random.default_rng(8)
    keras.utils.set_random_seed(6)
    net = state_net.build_state_namer()
    patches = np.zeros((24, 96, 192, 1), np.uint8)
    places = np.arange(24, dtype=np.int32) % 3
    for patch, place in zip(patches, places, strict=True):  # each is bright in another third
        patch[32 * place : 32 * place + 32] = 180
        patch[:] += rng.integers(0, 60, patch.shape, np.uint8)
    pictures = patches.astype(np.float32) / np.float32(255)
    state_net.take_first_layers(net, MODELS / "plate-reader.tflite", pictures)
    frozen = [layer for layer in net.layers if layer.weights and not layer.trainable]
    assert len(frozen) == 10
    assert all(np.abs(np.asarray(layer.weights[0])).max() > 0 for layer in frozen)
    trained = {id(variable) for variable in net.trainable_variables}
    assert trained.isdisjoint(id(variable) for layer in frozen for variable in layer.weights)
    state_net.fit_last_layer(net, [(patches, places)])
    assert (
        np.asarray(net(pictures, training=False)["jurisdiction"]).argmax(axis=1).tolist() == places.tolist()
    )


def test_a_namer_that_continues_trains_all_but_the_first_convolutions(tmp_path: Path) -> None:
    from detector.reader import MODELS
    from detector.training import state_net
    from detector.training.warm_start import warm_start

    rng = np.random.default_rng(12)
    pictures = rng.random((8, 96, 192, 1), dtype=np.float32)
    net = state_net.build_state_namer(frozen=2)
    assert warm_start(net, MODELS / "state-namer.tflite", pictures) == 10
    convolutions = [layer for layer in net.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.trainable for layer in convolutions] == [False] * 2 + [True] * 7
    normalized = [layer for layer in net.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert [layer.trainable for layer in normalized] == [False] * 2 + [True] * 7


def test_stored_patches_are_moved_a_little_and_keep_their_places() -> None:
    from detector.training.train_state import shifted

    patches = np.arange(2 * 96 * 192, dtype=np.uint32).reshape(2, 96, 192, 1)
    places = np.array([3, 4], np.int32)
    feed = shifted(iter([(patches, places)] * 40), np.random.default_rng(1))
    ways = set()
    for moved, same in feed:
        assert same.tolist() == [3, 4]
        for one, before in zip(moved[..., 0].astype(int), patches[..., 0].astype(int), strict=True):
            way = int(one[40, 90] - before[40, 90])
            assert (one[4:-4, 8:-8] == before[4:-4, 8:-8] + way).all()
            ways.add(way)
    assert len(ways) > 20
    assert {way // 192 for way in (w + 96 for w in ways)} == {-2, -1, 0, 1, 2}


def test_the_obstacle_finder_learns_which_columns_are_hidden(tmp_path: Path) -> None:
    from detector.training.loop import TrainingPlan, train
    from detector.training.obstacle_net import build_obstacle_finder, obstacle_loss

    def bars() -> Any:
        """Noise, and a bright bar over four columns."""
        rng = np.random.default_rng(9)
        while True:
            patches = rng.integers(0, 120, (16, 48, 144, 1), dtype=np.uint8)
            hidden = np.zeros((16, 36), np.uint8)
            for row, at in enumerate(rng.integers(0, 32, 16).tolist()):
                patches[row, :, 4 * at : 4 * at + 16] = 230
                hidden[row, at : at + 4] = 255
            yield patches, hidden

    keras.utils.set_random_seed(7)
    net = build_obstacle_finder()
    plan = TrainingPlan(steps=40, peak_rate=0.01, warm_up=5, checkpoint_every=40, log_every=20)
    assert train(net, lambda batch, out: obstacle_loss(batch[1], out), bars(), tmp_path, plan)
    net.load_weights(tmp_path / "net-40.weights.h5")
    patches, hidden = next(bars())
    odds = np.asarray(net(patches.astype(np.float32) / 255.0, training=True)["hidden"])
    assert odds.shape == (16, 36)
    assert odds[hidden > 0].mean() > odds[hidden == 0].mean() + 1.0


def test_a_net_of_one_size_answers_like_the_one_of_any_size_that_trained() -> None:
    from detector.training.detector_net import build_detector, with_weights_of

    keras.utils.set_random_seed(5)
    trained = build_detector(None, None)
    luma = np.random.default_rng(1).uniform(0, 1, (1, 128, 192, 1)).astype(np.float32)
    one, two = (net(luma)["heat"] for net in (trained, with_weights_of(trained, 128, 192)))
    np.testing.assert_allclose(one, two, atol=1e-5)
    with pytest.raises(ValueError, match="64 must divide"):
        build_detector(432, 768)


def test_averaged_weights_get_statistics_of_their_own() -> None:
    from detector.training.loop import settle_statistics

    net = _net()
    (normalization,) = [one for one in net.layers if isinstance(one, keras.layers.BatchNormalization)]
    normalization.moving_mean.assign([9.0] * 4)
    luma = np.concatenate([next(_batches(seed))[0] for seed in range(4)])
    settle_statistics(net, np.split(luma, 4))
    before = keras.Model(net.inputs[0], normalization.input)(luma)
    np.testing.assert_allclose(normalization.moving_mean, np.mean(before, axis=(0, 1, 2)), atol=1e-5)
    assert normalization.momentum == 0.99


def test_a_batchs_targets_are_those_of_each_picture() -> None:
    from detector.training.detector_net import targets_of
    from detector.training.detector_targets import encode_targets, packed

    rng = np.random.default_rng(6)
    boxes = np.array([[60, 60, 40, 20], [200, 100, 60, 30]], np.float32)
    quads = rng.normal(100, 20, (2, 4, 2)).astype(np.float32)
    known, unlabeled = np.array([True, False]), np.array([[250, 20, 40, 20]], np.float32)
    none = np.zeros((0, 4), np.float32)
    plates = np.stack(
        [
            packed(boxes, quads, known, unlabeled),
            packed(none, np.zeros((0, 4, 2), np.float32), np.zeros(0, bool), none),
        ]
    )
    heat, regress = (np.asarray(part) for part in targets_of(plates, 48, 80))
    one = encode_targets(boxes, quads, known, 192, 320, unlabeled=unlabeled)
    np.testing.assert_allclose(heat[0], one["heat"], atol=1e-6)
    np.testing.assert_allclose(regress[0], one["regress"], atol=1e-5)
    assert np.all(heat[1] == 0)
    assert np.all(regress[1] == 0)


def test_what_may_be_a_plate_without_a_label_teaches_nothing() -> None:
    from detector.training.detector_net import detector_loss

    heat, regress = np.zeros((2, 4, 4, 1), np.float32), np.zeros((2, 4, 4, 14), np.float32)
    out = {
        "heat": np.full((2, 4, 4, 1), -9.0, np.float32),
        "box": np.zeros((2, 4, 4, 4), np.float32),
        "corners": np.zeros((2, 4, 4, 8), np.float32),
    }
    out["heat"][:, 2, 2] = 3.0
    losses = [
        float(detector_loss(heat, regress, np.array(partly, np.float32), out)["focal"])
        for partly in ((0, 0), (1, 0), (1, 1))
    ]
    assert losses[0] == pytest.approx(2 * losses[1], rel=1e-3)
    assert losses[2] < 1e-3


def test_blocks_hold_the_pixels_of_their_place() -> None:
    from detector.training.detector_net import Blocks

    luma = np.arange(2 * 8 * 12, dtype=np.float32).reshape(2, 8, 12, 1)
    blocks = np.asarray(Blocks(4, "blocks")(luma))
    assert blocks.shape == (2, 2, 3, 16)
    np.testing.assert_array_equal(blocks[0, 1, 2].reshape(4, 4), luma[0, 4:8, 8:12, 0])


def test_nothing_to_read_costs_what_is_read_there() -> None:
    """A text costs -log p by CTC; without a text, the cost is that of a blank in every column."""
    from detector.plates import CLASSES
    from detector.training.alphabet import BLANK, JURISDICTIONS, SLOTS
    from detector.training.patch_form import COLUMNS
    from detector.training.reader_net import reader_loss

    rng = np.random.default_rng(7)
    columns = rng.normal(0, 2, (2, COLUMNS, CLASSES)).astype(np.float32)
    out = {
        "columns": columns,
        "slots": np.zeros((2, SLOTS, CLASSES), np.float32),
        "jurisdiction": np.zeros((2, len(JURISDICTIONS)), np.float32),
        "corners": np.zeros((2, 8), np.float32),
    }
    truth = np.zeros((2, SLOTS + 11), np.float32)
    truth[:, :SLOTS], truth[:, SLOTS] = BLANK, -1
    log_p = columns - np.log(np.exp(columns).sum(axis=-1, keepdims=True))
    nothing = -log_p[:, :, BLANK].sum(axis=1)
    for weights, wanted in (((1, 0), nothing[0]), ((1, 1), nothing.mean()), ((0, 0), 0.0)):
        truth[:, SLOTS + 9] = weights
        assert float(reader_loss(truth, out)["ctc"]) == pytest.approx(float(wanted), rel=1e-4)
    truth[:, SLOTS + 9] = (1, 0)
    truth[0, 0] = 3
    alone = [
        log_p[0, start : stop + 1, 3].sum()
        + log_p[0, :start, BLANK].sum()
        + log_p[0, stop + 1 :, BLANK].sum()
        for start in range(COLUMNS)
        for stop in range(start, COLUMNS)
    ]
    assert float(reader_loss(truth, out)["ctc"]) == pytest.approx(
        -float(np.logaddexp.reduce(alone)), rel=1e-4
    )


def test_stored_batches_come_back_whole_and_later_ones_too(tmp_path: Path) -> None:
    from detector.training.stored import StoredBatches, store

    def maker(rng: np.random.Generator) -> Batch:
        size = int(rng.integers(1, 3))
        luma = rng.integers(0, 256, (4, size, 2, 1)).astype(np.uint8)
        return luma, luma.sum(axis=(1, 2, 3)).astype(np.float32)

    (tmp_path / "cut-off.new").write_bytes(b"half")
    counted = store(maker, tmp_path, name="first", seed=[1], stop_after_s=0.2)
    assert counted == len(list(tmp_path.glob("first-*.npz"))) > 1
    stored = StoredBatches(tmp_path, together=3, least=1)
    store(maker, tmp_path, name="second", seed=[2], stop_after_s=0.05)
    for _ in range(60):
        luma, total = next(stored)
        assert luma.shape[0] == 12
        np.testing.assert_array_equal(luma.sum(axis=(1, 2, 3)), total)
    assert len(stored) == len(list(tmp_path.glob("*.npz")))


def test_a_worker_that_dies_is_an_error() -> None:
    def broken(rng: np.random.Generator) -> Batch:
        raise SystemExit(4)

    with pytest.raises(FeederError, match="ended with 4"):
        next(batches(broken, workers=1, seed=[1]))
