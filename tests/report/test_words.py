import fake_report
import numpy as np
import pytest

from desiderata.report import Asked, Confusion, Curve, Report, intervals, mistakes, words


def curve(method, *runs):
    runs = np.array(runs, dtype=float)
    return Curve(method, 10 * np.arange(runs.shape[1]), runs)


def told(*curves, **more):
    report = Report(title="t", curves=curves, **more)
    return [text.replace(words.SPACE, " ") for text in (words.headline(report), words.confidence(report))]


def test_one_run_says_that_it_may_be_luck():
    said, sure = told(curve("ours", [0.5, 0.7]), curve("random", [0.5, 0.64]), control="random")
    assert said == (
        "With 10 pictures collected as it asked, the classifier went from recognising 50.0 % of new pictures to "
        "70.0 %. As many collected by random brought it to 64.0 %, 6.0 points less."
    )
    assert "single run" in sure


def test_several_runs_have_intervals():
    ours = curve("ours", [0.5, 0.70], [0.5, 0.72], [0.5, 0.71])
    theirs = curve("random", [0.5, 0.64], [0.5, 0.66], [0.5, 0.65])
    said, sure = told(ours, theirs, control="random")
    assert "6.0 points less" in said
    assert sure == "Means of 3 runs; 95 % intervals: 68.5–73.5 % at the end, +6.0 to +6.0 points for the difference."


def test_no_clear_difference_is_called_that():
    ours = curve("ours", [0.5, 0.70], [0.5, 0.60], [0.5, 0.66])
    theirs = curve("random", [0.5, 0.64], [0.5, 0.66], [0.5, 0.65])
    said, _ = told(ours, theirs, control="random")
    assert "which is no clear difference" in said
    assert "points less" not in said


def test_a_loss_is_not_dressed_up():
    said, _ = told(curve("ours", [0.5, 0.45]), curve("random", [0.5, 0.6]), control="random")
    assert "from recognising 50.0 % of new pictures to 45.0 %" in said
    assert "15.0 points more" in said


def test_a_change_that_may_be_none_is_called_that():
    said, _ = told(curve("ours", [0.5, 0.6]), test_examples=40)
    assert said == (
        "With 10 pictures collected as it asked, the classifier recognises 60.0 % of new pictures, after 50.0 % "
        "before: no clear change yet."
    )
    said, _ = told(curve("ours", [0.5, 0.6]), test_examples=4000)
    assert "went from recognising 50.0 % of new pictures to 60.0 %" in said
    assert "no clear change yet" in told(curve("ours", [0.5, 0.6], [0.5, 0.49]))[0]


def test_validation_pictures_are_not_called_new():
    said, _ = told(curve("ours", [0.5, 0.9]), test_examples=400, validated=True)
    assert "of validation pictures to 90.0 %" in said


def test_nothing_came_back():
    assert told(Curve("ours", np.array([0, 0]), np.array([[0.5, 0.5]]))) == [
        "Nothing has come back yet. The classifier recognises 50.0 % of new pictures.",
        "",
    ]


def test_only_what_both_collected_is_compared():
    said, _ = told(curve("ours", [0.5, 0.6, 0.7]), curve("random", [0.5, 0.55]), control="random")
    assert "10 pictures collected by random brought it to 55.0 %, 5.0 points less" in said


def test_the_report_may_speak_for_itself():
    assert told(curve("ours", [0.5, 0.7]), summary="All is well.") == ["All is well.", ""]


def test_certainty_speaks_of_runs_and_of_test_pictures():
    one = " ".join(words.certainty(Report(title="t", curves=[curve("a", [0.5, 0.7])], test_examples=5000)))
    assert "One run: no interval" in one
    assert "1.3\u00a0points" in one
    many = " ".join(words.certainty(fake_report.bench(4)))
    assert "means of 4 runs" in many
    assert "Zero-shot:" in many
    assert "Ceiling:" in many
    mixed = " ".join(words.certainty(Report(title="t", curves=[curve("a", [0.5]), curve("b", [0.5], [0.6])])))
    assert "1 to 2 runs" in mixed


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.03125, 3, "+0.031"), (-0.002, 3, "−0.002"), (-0.0001, 3, "0.000"), (0, 2, "0.00")],
)
def test_signs(value, digits, text):
    assert words.signed(value, digits) == text


def test_gains_get_the_decimals_they_need():
    def asked(*gains):
        return [Asked(1, "cat", "a cat", {"predicted_gain": gain}) for gain in gains]

    assert words.gain_digits(asked(0.5, 1.2)) == 2
    assert words.gain_digits(asked(3e-5, 2e-5)) == 6
    assert words.gain_digits(asked(1e-30)) == 7
    assert words.gain_digits(asked(0.0)) == words.gain_digits([]) == 3


def test_figures_of_a_sentence_are_found_with_their_units():
    parts = words.pieces("With 1,200\u00a0pictures it rose by 5.2\u00a0points to 84.3\u00a0%.")
    assert [part for part, figure in parts if figure] == ["1,200\u00a0pictures", "5.2\u00a0points", "84.3\u00a0%"]
    assert "".join(part for part, _ in parts).endswith("84.3\u00a0%.")


def test_unknown_evidence_keeps_its_name():
    query = Asked(
        1, "cat", "a cat", {"predicted_gain": 1, "cosine": 0.831, "class_agreement": 0.97, "my_score": 12.345}
    )
    assert words.evidence(query) == [("closeness", "0.83"), ("sentence fits", "97\u00a0%"), ("my score", "12.3")]


def test_agreement_admits_chance():
    rng = np.random.default_rng(0)
    predicted, rounds = rng.random(30), np.arange(30) // 10
    assert "better than chance" in " ".join(words.agreement(predicted, rng.normal(size=30), rounds))
    good = " ".join(words.agreement(predicted, predicted + 0.01 * rng.normal(size=30), rounds))
    assert "better than chance" not in good
    assert "Too few" in " ".join(words.agreement(np.ones(30), rng.normal(size=30), rounds))


def test_gains_that_only_shrink_together_from_round_to_round_are_no_agreement():
    rng = np.random.default_rng(1)
    rounds = np.arange(80) // 10
    predicted, realised = (0.5**rounds * rng.uniform(0.9, 1.1, 80) for _ in range(2))
    assert intervals.of_rank_agreement(predicted, realised).low > 0.9
    said = " ".join(words.agreement(predicted, realised, rounds))
    assert "within a round" in said
    assert "better than chance" in said


def test_changes_in_mistakes():
    before = np.array([[6, 4, 0], [1, 9, 0], [0, 0, 0]])
    after = np.array([[9, 1, 0], [3, 7, 0], [0, 0, 0]])
    rarer, more = mistakes.changes(Confusion(("cat", "dog", "owl"), before, after))
    assert [(c.shows, c.said, c.before, c.after, c.pictures) for c in rarer] == [("cat", "dog", 0.4, 0.1, 10)]
    assert [(c.shows, c.said) for c in more] == [("dog", "cat")]
    heat = mistakes.heatmaps(Confusion(("cat", "dog", "owl"), before, after))[0]
    assert heat.accuracy == 0.75
    assert heat.rows[0][1] == [("60", 12), ("40", 8), ("", 0)]
    assert heat.rows[2][1] == [("", 0)] * 3, "a class without pictures has no rates"
