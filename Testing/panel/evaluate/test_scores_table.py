"""The table of scores: which rows stand out."""

from MedNeXtSegmentLib.Evaluate.ScoresTable import worstColors


def test_the_worst_quarter_is_colored_and_equal_values_are_not() -> None:
    red, orange = (240, 128, 128), (255, 222, 173)
    assert worstColors([0.5, None, 0.1, 0.4, 0.0, 0.2, 0.3, 0.1, 0.05]) == [red, None, None, orange] + [None] * 5
    assert worstColors([0.2, 0.2]) == [None, None]
    assert worstColors([0.0, 0.3]) == [None, red]
    assert worstColors([0.3]) == [None]
