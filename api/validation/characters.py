"""The characters that may not be stored: U+0000 and lone surrogates."""

NULL_CHARACTER = "must not contain the character U+0000"
LONE_SURROGATE = "must not contain a lone surrogate"


def text_problem(text: str) -> str | None:
    """Returns a message if the text contains such a character."""
    # A regular expression takes 170 ms for the longest text, and holds the interpreter.
    if "\0" in text:
        return NULL_CHARACTER
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return LONE_SURROGATE
    return None
