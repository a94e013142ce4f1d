"""What the figures say: titles, labels, numbers; and that they leave no trace in Matplotlib."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from genre_lib import metrics, plots
from genre_lib.plots.costs import front
from genre_lib.plots.predictions import BANDS

PNG = b"\x89PNG"


@dataclass
class Guess:
    genre: str
    confidence: float


@dataclass
class Stretch:
    start: float
    end: float
    predictions: list[Guess]


@pytest.fixture
def tracks() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "genre": ["rock"] * 5 + ["a genre whose name is far too long for any axis, $x$"],
            "split": ["train"] * 3 + ["valid", "test", "train"],
            "duration": [60.0, 30.0, 90.0, 60.0, np.nan, 30.0],
        }
    )


@pytest.fixture
def history() -> pd.DataFrame:
    return pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [1.0, 0.5], "valid_loss": [1.1, 0.9], "valid_accuracy": [0.5, 0.7]}
    )


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_class_balance_counts(tracks):
    axes = plots.class_balance(tracks).axes[0]
    assert axes.get_title(loc="left") == "6 tracks of 2 genres"
    assert axes.get_xlabel() == "tracks"
    assert texts(axes) == ["5", "1"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "valid", "test"]


def test_durations_leave_out_the_unknown(tracks):
    axes = plots.durations(tracks).axes[0]
    assert axes.get_title(loc="left") == "Length of 5 tracks, 0.1 hours in all"
    assert axes.get_xlabel() == "seconds"


def test_mel_has_a_picture_for_each_genre_in_hertz():
    mels = {genre: np.zeros((8, 20)) - i for i, genre in enumerate(["rock", "jazz", "pop", "ska"])}
    figure = plots.mel_per_genre(mels, hop_seconds=0.1, frequencies=np.linspace(100, 5000, 8))
    pictures = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in pictures] == ["rock", "jazz", "pop", "ska"]
    assert pictures[0].get_xlim() == pytest.approx((0, 2.0))
    # 500 Hz would stand 0.05 of the axis from 250 Hz, and 250 Hz is named where there is room for it alone.
    assert [tick.get_text() for tick in pictures[0].get_yticklabels()] == ["250", "1000", "2000", "4000"]


def test_confusion_prints_tracks_and_the_sum():
    axes = plots.confusion_matrix(np.array([[3, 1], [0, 2]]), ["rock", "pop"]).axes[0]
    assert axes.get_title(loc="left") == "5 of 6 tracks right"
    assert texts(axes) == ["3", "1", "2"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true genre", "predicted genre")


def test_large_confusion_has_no_numbers():
    figure = plots.confusion_matrix(np.eye(50, dtype=int), [f"genre {i}" for i in range(50)])
    assert texts(figure.axes[0]) == []
    assert figure.get_figwidth() < 13


def test_confusion_of_a_genre_without_tracks():
    assert plots.to_png(plots.confusion_matrix(np.array([[1, 0], [0, 0]]), ["rock", "pop"])).startswith(PNG)


def test_reliability_names_both():
    bins = metrics.reliability_bins(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    figure = plots.reliability(bins, bins)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["perfectly calibrated", "before scaling", "after scaling"]
    assert figure.axes[0].get_title(loc="left") == "Reliability over 2 tracks"


def test_learning_curves_draw_what_is_there(history):
    figure = plots.learning_curves(history, best_epoch=2)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "Validation score"]
    loss = figure.axes[0].lines[0]
    assert loss.get_ydata().tolist() == [1.0, 0.5]


@pytest.mark.parametrize("rows", [0, 1])
def test_learning_curves_of_hardly_any_epoch(history, rows):
    assert plots.to_png(plots.learning_curves(history[:rows])).startswith(PNG)


def test_prediction_bars_sort_and_cut():
    axes = plots.prediction_bars([Guess("pop", 0.1), Guess("rock", 0.7), Guess("jazz", 0.2)], top_k=2).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["rock", "jazz"]
    assert texts(axes) == ["70%", "20%"]


def test_timeline_ends_with_the_track_and_gathers_the_rest():
    segments = [Stretch(i, i + 2.0, [Guess(f"g{k}", 0.1) for k in range(10)]) for i in range(3)]
    axes = plots.timeline(segments).axes[0]
    assert axes.get_xlim() == (0, 4.0)
    assert next(text.get_text() for text in axes.get_legend().get_texts()) == "other"
    assert len(axes.get_legend().get_texts()) == len(BANDS) + 1


def test_compare_runs_and_intervals_when_there_are_none():
    assert texts(plots.compare_runs({}).axes[0]) == ["no runs yet"]
    assert texts(plots.accuracy_intervals({"a": None}).axes[0]) == ["nothing evaluated yet"]


def test_compare_runs_has_a_line_for_each(history):
    axes = plots.compare_runs(
        {"first": history, "second": history[:1], "no scores": pd.DataFrame({"epoch": [1]})}
    ).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["first", "second"]


def test_accuracy_intervals_print_the_value():
    figure = plots.accuracy_intervals(
        {"base": metrics.Interval(0.7, 0.6, 0.8), "tuned": metrics.Interval(0.9, 0.8, 1.0)}
    )
    assert texts(figure.axes[0]) == ["70.0%", "90.0%"]


def spot(name: str, cost: float, value: float, spread: tuple[float, float] | None = None) -> plots.Point:
    return plots.Point(name, cost, metrics.Interval(value, value - 0.1, value + 0.1), spread)


def test_the_front_is_of_those_that_none_beats():
    points = [spot("good", 5, 0.8), spot("cheap", 1, 0.5), spot("beaten", 3, 0.4), spot("as good", 9, 0.8)]
    assert [point.name for point in front(points)] == ["cheap", "good"]


def test_costs_that_chance_may_have_put_in_order_are_the_same():
    points = [spot("first", 9.9, 0.5, (9.5, 10.5)), spot("better", 10, 0.7, (9.6, 10.4)), spot("apart", 8, 0.4, (7, 9))]
    assert [point.name for point in front(points)] == ["apart", "better"]


def test_names_of_points_hide_neither_each_other_nor_a_point():
    points = [spot(name, 100 + i, 0.5 + 0.02 * i) for i, name in enumerate(["base", "head", "lora", "full"])]
    figure = plots.score_against_cost(points, "time (ms)")
    (axes,) = figure.axes
    assert sorted(texts(axes)) == ["base  50.0%", "full  56.0%", "head  52.0%", "lora  54.0%"]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    spots = [axes.transData.transform((line.get_xdata()[0], line.get_ydata()[0])) for line in markers(axes)]
    assert len(spots) == 4 and not any(box.contains(*place) for box in boxes for place in spots)
    assert all(axes.bbox.contains(*corner) for box in boxes for corner in box.corners())


def test_the_line_of_the_best_ends_at_the_last_of_them_and_one_has_none():
    (axes,) = plots.score_against_cost([spot("a", 10, 0.5), spot("b", 20, 0.6), spot("c", 25, 0.4)], "time").axes
    (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert line.get_xdata().tolist() == pytest.approx([10, 20])
    (axes,) = plots.score_against_cost([spot("a", 10, 0.6), spot("b", 20, 0.5)], "time").axes
    assert not [line for line in axes.lines if line.get_linestyle() == "--"] and axes.get_legend() is None


def test_a_model_has_one_colour_in_all_figures_of_its_report():
    models = ["base", "unscored", "tuned"]
    cost = plots.score_against_cost([spot("base", 10, 0.5), spot("tuned", 20, 0.6)], "time", among=models).axes[0]
    score = metrics.Interval(0.7, 0.6, 0.8)
    rows = {"tuned": score, "base, all its genres": score, "base, these genres only": score}
    bars = plots.accuracy_intervals(rows, among=models).axes[0]
    base, tuned = (line.get_color() for line in markers(cost))
    assert base != tuned
    assert [line.get_color() for line in markers(bars)] == [tuned, base, base]
    curve = pd.DataFrame({"epoch": [1], "valid_accuracy": [0.5]})
    assert [line.get_color() for line in plots.compare_runs({"tuned": curve}, among=models).axes[0].lines] == [tuned]


def test_ticks_step_by_one_two_or_five():
    balance = pd.DataFrame({"genre": ["rock"] * 26 + ["pop"], "split": ["train"] * 27})
    assert plots.class_balance(balance).axes[0].get_xticks().tolist() == [0, 5, 10, 15, 20, 25, 30]
    one = pd.DataFrame({"genre": ["rock"], "split": ["train"]})
    assert plots.class_balance(one).axes[0].get_xticks().tolist() == [0, 1, 2]
    stretches = [Stretch(i, i + 20.0, [Guess("rock", 1.0)]) for i in range(0, 240, 20)]
    axes = plots.timeline(stretches).axes[0]
    axes.figure.draw_without_rendering()
    shown = [text.get_text() for text in axes.get_xticklabels() if 0 <= text.get_position()[0] <= 240]
    assert shown == ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30", "3:00", "3:30", "4:00"]


def test_reliability_shows_how_sure_each_bin_is():
    chances = np.array([[0.9, 0.1]] * 9 + [[0.6, 0.4]])
    axes = plots.reliability(metrics.reliability_bins(chances, np.array([0] * 8 + [1] + [1]))).axes[0]
    assert [line.get_linestyle() for line in axes.lines] == ["--"]  # the diagonal alone: nothing joins the bins
    bars, points = axes.collections
    spans = sorted((segment[0, 1], segment[-1, 1]) for segment in bars.get_segments())
    few, many = metrics.wilson_interval(0, 1), metrics.wilson_interval(8, 9)
    assert spans == [pytest.approx((few.low, few.high)), pytest.approx((many.low, many.high))]
    assert points.get_sizes().argmax() == 1


def markers(axes) -> list:
    return [line for line in axes.lines if line.get_marker() in "osD^vP"]


def test_costs_far_apart_stand_on_a_logarithmic_axis():
    near, far = [spot("a", 10, 0.5), spot("b", 20, 0.6)], [spot("a", 10, 0.5), spot("b", 2000, 0.6)]
    assert plots.score_against_cost(near, "time (ms)").axes[0].get_xscale() == "linear"
    assert plots.score_against_cost(far, "time (ms)").axes[0].get_xscale() == "log"


def test_many_models_are_named_in_a_legend_and_none_is_said():
    axes = plots.score_against_cost([spot(f"m{i}", 10 + i, 0.5) for i in range(9)], "time (ms)").axes[0]
    assert texts(axes) == []
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [f"m{i}  50.0%" for i in range(9)]
    points = [spot(f"m{i}", 10 + i, 0.1 + 0.05 * i) for i in range(9)]
    legend = plots.score_against_cost(points, "time (ms)").axes[0].get_legend()
    assert next(text.get_text() for text in legend.get_texts()) == "the best for its cost"
    assert texts(plots.score_against_cost([], "time (ms)").axes[0]) == ["nothing measured yet"]


def test_save_writes_a_png_and_nothing_beside_it(tmp_path, history):
    path = plots.save(plots.learning_curves(history), tmp_path / "figures" / "curves.png")
    assert path.read_bytes().startswith(PNG)
    assert [entry.name for entry in path.parent.iterdir()] == ["curves.png"]


def test_settings_are_not_touched_and_no_figure_stays_open(tracks):
    before = dict(matplotlib.rcParams)
    figure = plots.class_balance(tracks)
    assert figure._repr_png_().startswith(PNG)
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []


def test_track_curves_name_what_was_read_from_them():
    from genre_lib.descriptors import curves

    clicks = np.zeros(22050 * 8, np.float32)
    clicks[::11025] = 1
    heard = curves(clicks, 22050)
    chart = plots.track_curves(heard, "clicks.wav")
    titles = [axes.get_title(loc="left") for axes in chart.axes[:3]]
    assert titles[0].startswith("clicks.wav: 120.")
    assert titles[1:] == ["Pitch classes: no key", f"Loudness: {heard.described.loudness:.1f} LUFS"]
    silent = plots.track_curves(curves(np.zeros(22050), 22050))
    assert silent.axes[0].get_title(loc="left") == "A track: no tempo"


def test_descriptors_have_a_panel_each_and_no_tempo_is_no_dot():
    row = dict.fromkeys(plots.DESCRIPTOR_UNITS, 0.5)
    table = pd.DataFrame([{"genre": "rock", **row, "tempo": 0.0}, {"genre": "jazz", **row, "tempo": 99.0}])
    chart = plots.descriptors_by_genre(table)
    assert [axes.get_title(loc="left") for axes in chart.axes] == list(plots.DESCRIPTOR_UNITS)
    drawn = chart.axes[0].collections[0].get_offsets()
    assert np.ma.filled(drawn, np.nan)[:, 0][~np.isnan(np.ma.filled(drawn, np.nan)[:, 0])].tolist() == [99.0]


def test_genre_map_sums_the_names_of_a_genre_and_gathers_the_rare_ones():
    names = pd.DataFrame(
        {
            "genre": ["rock"] * 9 + ["jazz"],
            "name": [*(f"rock {letter}" for letter in "abcdefghi"), "bebop"],
            "tracks": [20, 10, 9, 8, 7, 6, 5, 4, 3, 11],
        }
    )
    (axes,) = plots.genre_map(names).axes
    assert axes.get_title(loc="left") == "10 genre names as 2 genres"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["rock", "jazz"]
    assert {"72", "11", "rock a", "bebop", "others"} <= set(texts(axes))
    assert [bar.get_width() for bar in axes.patches] == [20, 10, 9, 8, 7, 6, 12, 11]


def test_playlist_mix_shows_the_largest_and_what_is_unclear_last():
    rows = [("long", "rock", 5), ("long", "no clear genre", 9), ("middle", "jazz", 3), ("short", "rock", 1)]
    (axes,) = plots.playlist_mix(pd.DataFrame(rows, columns=["playlist", "genre", "tracks"]), most=2).axes
    assert axes.get_title(loc="left") == "What is on the 2 largest of 3 playlists"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["long", "middle"]
    assert [entry.get_text() for entry in axes.get_legend().get_texts()] == ["rock", "jazz", "no clear genre"]
    assert {"14", "3"} <= set(texts(axes))
    assert [bar.get_width() for bar in axes.patches] == [5, 0, 0, 3, 9, 0]


def test_coverage_says_what_each_source_adds():
    found = pd.DataFrame({"source": ["folder", "deezer"], "has": [60, 50], "adds": [60, 20]})
    (axes,) = plots.coverage(found, 100).axes
    assert axes.get_title(loc="left") == "Audio for 80 of 100 tracks"
    assert {"60 (60%)", "50 (50%)"} <= set(texts(axes))
