import pytest

from sample import chunks


def test_pieces_fit_and_lose_nothing():
    text = "the quick brown fox jumps over the lazy dog"
    pieces = chunks(text, 12)
    assert all(len(piece) <= 12 for piece in pieces)
    assert " ".join(pieces) == text


def test_a_long_word_is_a_piece_of_its_own():
    assert chunks("a incomprehensibilities b", 5) == ["a", "incomprehensibilities", "b"]


def test_no_text_has_no_pieces():
    assert chunks("  ", 5) == []


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError):
        chunks("text", 0)
