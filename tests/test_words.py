"""The words of a magic's line."""

import pytest

from kit.errors import ArgumentError
from kit.words import split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  \t ", []),
        ("TrainFlow/12/fit", ["TrainFlow/12/fit"]),
        ("  TrainFlow   fit\tmodel ", ["TrainFlow", "fit", "model"]),
        ("--index 1,2 --push", ["--index", "1,2", "--push"]),
        ("one\ntwo", ["one", "two"]),
        ("größe ähnlich", ["größe", "ähnlich"]),
    ],
)
def test_white_space_parts_words(line, words):
    assert split(line) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('--foreach "a b"', ["--foreach", "a b"]),
        ("--foreach 'a b'", ["--foreach", "a b"]),
        ("--foreach ''", ["--foreach", ""]),
        ('"it\'s"', ["it's"]),
        ("'say \"hi\"'", ['say "hi"']),
        ("'# no comment'", ["# no comment"]),
        ('"[" x', ["[", "x"]),
    ],
)
def test_a_word_that_is_quoted_as_a_whole_loses_its_quotes(line, words):
    assert split(line) == words


@pytest.mark.parametrize(
    "word",
    [
        's="a b"',
        "s='a b'",
        """s={'a b': "c d"}""",
        '"a"+"b"',
        "'a' 'b'".replace(" ", ""),
        '"""a b"""',
        r"s='it\'s one'",
        r'"a\" b"',
        "x=f('a b')",
    ],
)
def test_quotes_inside_a_word_are_pythons_and_stay(word):
    assert split(f"--set {word} --push") == ["--set", word, "--push"]


@pytest.mark.parametrize(
    "word",
    [
        "x=[1, 2]",
        "x=(1, 2)",
        "x={1, 2}",
        "x={'a': [1, (2, 3)], 'b': {4, 5}}",
        'x=["]", "a b"]',
        "x=['(', ']', '{ [']",
        "x=[i for i in range(3) if i > 1]",
        "x=[1, # two\n 2]",
        "x=[\n1,\n2]",
        "x=f(a, g(b, c))[0]",
        "x=lambda:(1, 2)",
    ],
)
def test_brackets_hold_a_word_together(word):
    assert split(f"fit --set {word} --push") == ["fit", "--set", word, "--push"]


@pytest.mark.parametrize("word", [r"C:\data\x", r"a\b", "\\", r"x='\\'", r"x='a\\'", r"x=r'\d+ \w'"])
def test_backslashes_stay(word):
    assert split(f"{word} end") == [word, "end"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fit # the step", ["fit"]),
        ("# nothing", []),
        ("fit #", ["fit"]),
        ("fit # it's ( open", ["fit"]),
        ("pkg#egg=x", ["pkg#egg=x"]),
        ("git+https://host/x#subdirectory=y z", ["git+https://host/x#subdirectory=y", "z"]),
        ("color='#fff' x", ["color='#fff'", "x"]),
    ],
)
def test_a_comment_begins_with_a_hash_at_the_start_of_a_word(line, words):
    assert split(line) == words


@pytest.mark.parametrize("line", ["a) b", "a] b", "a}b c", "x=) y"])
def test_a_closing_bracket_by_itself_is_a_letter_like_others(line):
    assert split(line) == line.split(" ")


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("--set x=[1, 2", "]"),
        ("--set x={'a': (1, 2}", ")"),
        ("--set x=(", ")"),
        ("--foreach 'a b", "'"),
        ("--foreach \"a b'", '"'),
        ("don't", "'"),
        (r"x='a\'", "'"),
        ("x=[']", "'"),
        ("x=(1, ']'", ")"),
    ],
)
def test_what_is_not_closed_is_an_error_that_names_what_is_missing(line, missing):
    with pytest.raises(ArgumentError) as caught:
        split(line)
    assert f"there is no closing {missing}" in caught.value.message
    assert len(str(caught.value).splitlines()) == 2


def test_words_and_their_join_agree():
    words = ["fit", "--set", "x=[1, 2]", "--set", "s='a b'", "--index", "3"]
    assert split(" ".join(words)) == words
