"""Splits text into pieces that fit a language model's context."""


def chunks(text: str, size: int) -> list[str]:
    """Splits at white space into pieces of at most size characters; a longer word is a piece of its own."""
    if size < 1:
        raise ValueError("size must be at least 1")
    pieces: list[str] = []
    for word in text.split():
        if pieces and len(pieces[-1]) + 1 + len(word) <= size:
            pieces[-1] += " " + word
        else:
            pieces.append(word)
    return pieces
