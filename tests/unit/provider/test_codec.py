"""Values survive the way to the engine and back, with what Python's own values cannot say."""

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from lab.provider.codec import UNKNOWN, Asset, Secret, Unknown, decode, encode, is_secret, is_unknown, mark_secret, text_asset, unwrap

_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.text(), st.just(UNKNOWN), st.builds(Asset, hash=st.text()))
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner), st.builds(Secret, inner)),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _VALUES))
def test_what_is_encoded_is_decoded_as_it_was(props: dict[str, object]) -> None:
    assert decode(encode(props)) == props


def test_numbers_arrive_as_floats_and_become_integers_where_they_are_whole() -> None:
    struct = struct_pb2.Struct()
    struct.update({"port": 443.0, "ratio": 0.5})
    assert decode(struct) == {"port": 443, "ratio": 0.5}
    assert type(decode(struct)["port"]) is int


def test_an_output_value_without_a_value_is_unknown_and_a_secret_one_is_secret() -> None:
    signature = {"4dabf18193072939515e22adb298388d": "d0e6a833031e9bbcd3f4e8bde6ca49a4"}
    struct = struct_pb2.Struct()
    struct.update({"unknown": signature, "known": {**signature, "value": "x"}, "secret": {**signature, "value": "x", "secret": True}})
    assert decode(struct) == {"unknown": UNKNOWN, "known": "x", "secret": Secret("x")}


def test_a_resource_given_as_a_value_stands_for_its_id() -> None:
    struct = struct_pb2.Struct()
    struct.update({"vpc": {"4dabf18193072939515e22adb298388d": "5cf8f73096256a8f31e491e813e4eb8e", "urn": "u", "id": "vpc-1"}})
    assert decode(struct) == {"vpc": "vpc-1"}


def test_a_kind_of_value_that_nobody_knows_is_an_error() -> None:
    struct = struct_pb2.Struct()
    struct.update({"x": {"4dabf18193072939515e22adb298388d": "new"}})
    with pytest.raises(ValueError, match="signature new"):
        decode(struct)


def test_a_thing_that_is_no_property_is_an_error() -> None:
    with pytest.raises(TypeError, match="set cannot be a property"):
        encode({"x": {1}})


def test_secretness_and_the_unknown_are_found_at_every_depth() -> None:
    deep = {"a": [{"b": Secret([UNKNOWN])}]}
    assert is_secret(deep)
    assert is_unknown(deep)
    assert unwrap(deep) == {"a": [{"b": [UNKNOWN]}]}
    assert not is_secret(unwrap(deep))


def test_a_secret_never_prints_its_value() -> None:
    assert "hunter2" not in f"{Secret('hunter2')} {[Secret('hunter2')]!r}"
    assert repr(UNKNOWN) == "<unknown>"
    assert Unknown() is UNKNOWN


def test_sealing_twice_is_sealing_once() -> None:
    once = mark_secret({"a": 1, "b": 2}, frozenset({"a"}))
    assert once == {"a": Secret(1), "b": 2}
    assert mark_secret(once, frozenset({"a"})) == once


def test_an_asset_from_the_state_has_only_its_hash(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("asset")
    (folder / "file").write_bytes(b"bytes")
    assert Asset(hash="h", path=str(folder / "file")).data() == b"bytes"
    assert text_asset("text").data() == b"text"
    with pytest.raises(ValueError, match="keeps only its hash"):
        Asset(hash="0123456789abcdef").data()
    with pytest.raises(ValueError, match="is a folder"):
        Asset(hash="h", path=str(folder)).data()
