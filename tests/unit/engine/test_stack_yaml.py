"""A stack file's YAML is taken as Pulumi's CLI takes it, and refused in words where that refuses it."""

import pytest

from lab.engine.stack_yaml import MAX_DEPTH, YamlError, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("{a: [1, -2, 1.5, true, FALSE, null, ~, x, '1']}", {"a": [1, -2, 1.5, True, False, None, None, "x", "1"]}),
        ("[2030-01-31, 2030-13-31T18:00:00Z]", ["2030-01-31", "2030-13-31T18:00:00Z"]),
        ("[yes, on, No, 22:30, 1:30.5]", ["yes", "on", "No", "22:30", "1:30.5"]),
        ("[010, 0x10, 1_000]", [8, 16, 1000]),
        ("{1: a, yes: b, null: c, 2030-01-31: d}", {"1": "a", "yes": "b", "null": "c", "2030-01-31": "d"}),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\nf: {b: 3, <<: *x}", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}, "f": {"b": 3}}),
        ("18446744073709551615", 18446744073709551615),
        ("-9223372036854775808", -9223372036854775808),
    ],
)
def test_a_text_is_read_as_the_cli_reads_it(text: str, value: object) -> None:
    assert parse(text) == value
    assert parse(text.encode()) == value


LAUGHS = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "has the key 'a' twice, in line 1 and line 3: keep one of them"),
        ("a: {b: {x: 1, x: 1}}", "has the key 'x' twice"),
        ("- {1: a, '1': b}", "has the key '1' twice"),
        ("{<<: {a: 1}, <<: {b: 1}}", "has the key '<<' twice"),
        ("a: 1\nb: &b [{c: *b}]", "contains itself, by the anchor in line 2: write the value out"),
        ("&a {<<: *a}", "contains itself"),
        (LAUGHS, "comes to more than 100000 values with its aliases"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "more than 32 deep"),
        ("[" * 5000, "more than 32 deep"),
        ("{[a]: 1}", "has a list or an object as a key in line 1"),
        ("{{a: b}: 1}", "has a list or an object as a key in line 1"),
        ("a: .nan", "'.nan' in line 1, and that is no finite number"),
        ("-.inf", "no finite number"),
        ("1.0e+999", "no finite number"),
        ("18446744073709551616", "'18446744073709551616' in line 1, and that is no whole number of 64 bits: quote it if it is a text"),
        ("-9223372036854775809", "no whole number of 64 bits"),
        ("a:\n  " + "9" * 5000, "9…' in line 2, and that is no whole number of 64 bits"),
        ("0x_", "no whole number of 64 bits"),
        ("!!int x", "'x' in line 1, and that is no whole number"),
        ("!!int ''", "no whole number"),
        ("!!float x", "no finite number"),
        ("!!set {a}", "is not YAML (a text with special characters stands in quotes): could not determine a constructor for the tag"),
        ("!!binary aGk=", "is not YAML"),
        ("!!python/object:os.system x", "is not YAML"),
        ("{<<: 1}", "is not YAML"),
        ("*a", "is not YAML"),
        ("[", "is not YAML"),
        ("a\n---\nb", "is not YAML"),
        ("\udcff", "is not YAML"),
    ],
    ids=lambda text: text[:40].encode("ascii", "backslashreplace").decode(),
)
def test_what_no_stack_file_holds_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert said in str(caught.value)
