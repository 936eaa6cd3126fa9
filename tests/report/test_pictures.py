"""Pictures are read back: what is drawn is the data, ticks stand where the frequency is."""

import re

import numpy as np
import pytest

from genrelab.report import style
from genrelab.report.pictures import confusion_picture, curves_charts, curves_picture, frequency_ticks, slices_picture

MEL_HZ = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 11025 / 700), 130)[1:-1] / 2595) - 1)
LINEAR_HZ = np.linspace(0, 11025, 128)


def test_confusion_shows_shares_as_colour_and_counts_as_text():
    c = np.array([[8, 2, 0, 0], [1, 1, 2, 6], [0, 0, 0, 0]])
    figure = confusion_picture(c, ["blues", "jazz", "rock"], "per song")
    axes = figure.axes[0]
    shares = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(shares, [[0.8, 0.2, 0, 0], [0.1, 0.1, 0.2, 0.6], [0, 0, 0, 0]])
    assert axes.images[0].get_clim() == (0, 1)
    assert {tuple(map(int, t.get_position()[::-1])): t.get_text() for t in axes.texts} == {
        (row, column): str(c[row, column]) for row, column in zip(*np.nonzero(c), strict=True)
    }
    assert [t.get_text() for t in axes.get_xticklabels()] == ["blues", "jazz", "rock", "no tag"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["blues", "jazz", "rock"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("decided", "true genre", "per song")
    assert figure.axes[1].get_ylabel() == "share of the true genre"


@pytest.mark.parametrize("k", [2, 10, 20])
def test_confusion_stays_within_its_page_and_text_within_its_cell(k):
    figure = confusion_picture(np.full((k, k), 1234), [f"a long genre {i}" for i in range(k)], "a title")
    figure.canvas.draw()
    axes = figure.axes[0]
    page = figure.bbox
    for artist in (axes.xaxis.label, axes.yaxis.label, axes.title, *axes.get_xticklabels(), *axes.get_yticklabels()):
        box = artist.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
    cell_px = axes.get_window_extent().width / k
    assert axes.texts[0].get_window_extent().width < cell_px


def test_confusion_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"3 genres and a confusion matrix of the shape \(2, 2\)"):
        confusion_picture(np.eye(2), ["a", "b", "c"], "")


def test_slices_are_drawn_as_they_are_under_one_scale():
    x = np.random.default_rng(0).normal(-40, 5, (5, 128, 20))
    figure = slices_picture(x, MEL_HZ, [2.0, 2.1, 1.9, 2.4, 2.0], [f"bar {i}" for i in range(5)])
    drawn = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert len(drawn) == 5
    for i, axes in enumerate(drawn):
        np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), x[i])
        assert axes.images[0].get_clim() == (x.min(), x.max())
        assert axes.images[0].get_extent() == [0.0, [2.0, 2.1, 1.9, 2.4, 2.0][i], -0.5, 127.5]
        assert axes.get_title() == f"bar {i}"
    assert drawn[0].get_ylabel() == "frequency (Hz)"
    assert [axes.get_xlabel() for axes in drawn] == ["", "", "time (s)", "time (s)", "time (s)"]
    assert figure.axes[-1].get_ylabel() == "dB"


def test_no_more_than_twelve_slices():
    figure = slices_picture(np.zeros((20, 8, 4)), None, 1.0, [str(i) for i in range(20)], unit="")
    drawn = [axes for axes in figure.axes if axes.get_title()]
    assert len(drawn) == 12
    assert drawn[0].get_ylabel() == "bin"


def test_silence_does_not_take_the_whole_scale():
    x = np.full((1, 4, 4), -200.0)
    x[0, 0, 0] = -10.0
    assert slices_picture(x, None, 1.0, ["a"]).axes[0].images[0].get_clim() == (-90.0, -10.0)
    assert slices_picture(x, None, 1.0, ["a"], unit="z").axes[0].images[0].get_clim() == (-200.0, -10.0)


@pytest.mark.parametrize("hz", [MEL_HZ, LINEAR_HZ, 32.7 * 2 ** (np.arange(84) / 12)], ids=["mel", "stft", "cqt"])
def test_ticks_stand_at_their_frequency(hz):
    at, labels, falling = frequency_ticks(hz, len(hz))
    named = np.array([float(label.replace("k", "000")) for label in labels])
    assert not falling
    np.testing.assert_allclose(np.interp(at, np.arange(len(hz)), hz), named, rtol=1e-9)
    assert (np.diff(at) >= 0.08 * len(hz)).all()
    assert {1000, 2000} <= set(named)  # whatever the scale, what an ear cares about is named
    axes = slices_picture(np.zeros((1, len(hz), 4)), hz, 1.0, ["a"]).axes[0]
    np.testing.assert_allclose(axes.get_yticks(), at)
    assert [t.get_text() for t in axes.get_yticklabels()] == labels


def test_falling_bins_are_turned_so_that_low_is_below():
    at, labels, falling = frequency_ticks(MEL_HZ[::-1], 128)
    up, up_labels, _ = frequency_ticks(MEL_HZ, 128)
    assert falling
    np.testing.assert_allclose(np.sort(at), np.sort(127 - up))
    assert dict(zip(labels, 127 - at, strict=True)) == pytest.approx(dict(zip(up_labels, up, strict=True)))
    x = np.random.default_rng(0).normal(size=(1, 128, 4))
    axes = slices_picture(x, MEL_HZ[::-1], 1.0, ["a"]).axes[0]
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), x[0])
    assert axes.get_ylim() == (127.5, -0.5)


def test_bins_that_are_no_scale_are_numbered():
    assert frequency_ticks(None, 12) == (None, [], False)
    assert frequency_ticks([3, 1, 2], 3) == (None, [], False)
    with pytest.raises(ValueError, match="expected one each"):
        frequency_ticks([1, 2], 3)


def history(n):
    return [
        {
            "epoch": e + 1,
            "train/loss": 2.0 / (e + 1),
            "val/loss": 1.0 + e / 10,
            "val/song/balanced_accuracy": [0.3, 0.7, 0.6][e % 3],
            "val/slice/balanced_accuracy": 0.4,
        }
        for e in range(n)
    ]


def test_curves_are_the_history_and_the_kept_epoch_is_marked():
    left, right = curves_picture(history(3), best=2).axes
    lines = {line.get_label(): line for line in (*left.get_lines(), *right.get_lines())}
    np.testing.assert_allclose(lines["training"].get_xydata(), [[1, 2.0], [2, 1.0], [3, 2 / 3]])
    np.testing.assert_allclose(lines["validation"].get_ydata(), [1.0, 1.1, 1.2])
    np.testing.assert_allclose(lines["per song"].get_ydata(), [0.3, 0.7, 0.6])
    np.testing.assert_allclose(lines["per slice"].get_ydata(), [0.4, 0.4, 0.4])
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "validation balanced accuracy")
    for axes in (left, right):
        assert axes.get_xlabel() == "epoch"
        assert [t.get_text() for t in axes.texts] == ["kept: 2"]
        assert [line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == "--"] == [2]


def test_curves_draw_what_there_is():
    figure = curves_picture([{"train/loss": 2.0}])
    assert [line.get_label() for line in figure.axes[0].get_lines()] == ["training"]
    assert figure.axes[0].get_xlim() == (-1, 1)
    assert not figure.axes[0].texts
    with pytest.raises(ValueError, match="no epoch"):
        curves_picture([])


def test_saved_twice_it_is_the_same_white_png(tmp_path):
    from matplotlib.image import imread

    one = style.save(curves_picture(history(3)), tmp_path / "new folder" / "a.png")
    two = style.save(curves_picture(history(3)), tmp_path / "b.png")
    assert one.read_bytes() == two.read_bytes()
    pixels = imread(one)
    assert pixels.shape[:2] == (435, 1080)  # 2.9 x 7.2 inches at 150 dpi
    np.testing.assert_array_equal(pixels[0, 0, :3], 1.0)


def test_the_curves_of_a_page_are_the_pictures_and_count_epochs_from_one():
    rows = [row | {"epoch": e} for e, row in enumerate(history(3))]  # as training has them
    loss, reached = curves_charts(rows, 2, "balanced_accuracy")
    assert loss.count('class="line ') == reached.count('class="line ') == 2
    assert loss.count("<circle ") == 6
    ticks = re.findall(r'text-anchor="middle">(\d)<', loss)
    assert ticks == ["1", "2", "3"]
    right = re.findall(r'cx="([\d.]+)"', loss)[2]
    assert f'class="rule" d="M{right}' in loss  # the last epoch was kept
    assert curves_charts([{"train/loss": 2.0}], None, "balanced_accuracy")[0].count("<circle ") == 1
