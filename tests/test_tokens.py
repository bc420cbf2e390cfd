"""Tokens: frame counts, flat ids and back, equality, Hugging Face's shape."""

import copy
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono.errors import TokenError
from unisono.tokens import AudioTokens, TokenLayout, TokenStream

UNIAUDIO = TokenLayout((TokenStream("audio", 25, 1, 8192),))
UNICODEC = TokenLayout(
    (
        TokenStream("global", None, 16, 1024),
        TokenStream("semantic", 25, 2, 256),
        TokenStream("residual", 25, 4, 1024),
    )
)
TWO_RATES = TokenLayout((TokenStream("fast", 50, 1, 4), TokenStream("slow", 12.5, 2, 8)))

RATES = st.sampled_from([None, 1, 12.5, 25, 25.0, 50, 75, 86.1328125, 100 / 3])
STREAMS = st.builds(
    lambda rate, groups, size: (rate, groups, size),
    RATES,
    st.integers(1, 4),
    st.sampled_from([2, 3, 256, 1000, 8192, 65_536]),
)


@st.composite
def layouts(draw: st.DrawFn) -> TokenLayout:
    specs = draw(st.lists(STREAMS, min_size=1, max_size=4))
    return TokenLayout(tuple(TokenStream(f"s{i}", *spec) for i, spec in enumerate(specs)))


def random_tokens(layout: TokenLayout, samples: int, rate: int, seed: int = 0) -> AudioTokens:
    numbers = np.random.default_rng(seed)
    codes = {
        s.name: numbers.integers(0, s.codebook_size, (s.groups, s.frames(samples, rate)))
        for s in layout.streams
    }
    return AudioTokens(codes, samples, rate, layout, "some/model")


def test_first_groups_of_a_stream() -> None:
    tokens = random_tokens(UNICODEC, 5000, 16_000)
    kept = tokens.first_groups(residual=1, semantic=2)
    assert [stream.groups for stream in kept.layout.streams] == [16, 2, 1]
    assert np.array_equal(kept["residual"], tokens["residual"][:1])
    assert np.array_equal(kept["semantic"], tokens["semantic"])
    assert (kept.samples, kept.rate, kept.model) == (5000, 16_000, "some/model")
    again = kept.layout.from_ids(kept.ids(), 5000, 16_000, "some/model")
    assert again == kept
    assert tokens.first_groups() == tokens


@pytest.mark.parametrize(
    ("groups", "words"),
    [({"residual": 0}, "has 4 groups; 0"), ({"residual": 5}, "5 of them"), ({"x": 1}, "no stream")],
)
def test_groups_that_are_not_there_are_refused(groups: dict[str, int], words: str) -> None:
    with pytest.raises(TokenError, match=words):
        random_tokens(UNICODEC, 5000, 16_000).first_groups(**groups)


@settings(deadline=None)
@given(
    layouts(),
    st.integers(1, 200_000),
    st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000]),
    st.integers(0, 2**32),
)
def test_ids_and_back(layout: TokenLayout, samples: int, rate: int, seed: int) -> None:
    tokens = random_tokens(layout, samples, rate, seed)
    ids = tokens.ids()
    assert ids.shape == (len(tokens),)
    assert ids.min() >= 0 and ids.max() < layout.vocabulary_size
    assert layout.from_ids(ids, samples, rate, "some/model") == tokens


@settings(deadline=None)
@given(layouts(), st.integers(1, 200_000), st.sampled_from([16_000, 44_100]))
def test_ids_alone_give_the_same_codes(layout: TokenLayout, samples: int, rate: int) -> None:
    tokens = random_tokens(layout, samples, rate)
    if all(stream.rate is None for stream in layout.streams):
        with pytest.raises(TokenError, match="number of samples"):
            layout.from_ids(tokens.ids())
        return
    back = layout.from_ids(tokens.ids().tolist(), rate=rate)
    assert back.samples >= samples
    for name, codes in tokens.codes.items():
        np.testing.assert_array_equal(back.codes[name], codes)


def test_unicodec_order_is_global_first_then_semantic_and_residual_a_frame() -> None:
    tokens = AudioTokens(
        {
            "global": np.arange(16)[:, None],
            "semantic": [[1, 2], [3, 4]],
            "residual": [[5, 6], [7, 8], [9, 10], [11, 12]],
        },
        samples=1280,
        rate=16_000,
        layout=UNICODEC,
    )
    s, p = 16 * 1024, 16 * 1024 + 2 * 256
    once = [g * 1024 + g for g in range(16)]
    first = [s + 1, s + 256 + 3, p + 5, p + 1024 + 7, p + 2048 + 9, p + 3072 + 11]
    second = [s + 2, s + 256 + 4, p + 6, p + 1024 + 8, p + 2048 + 10, p + 3072 + 12]
    assert tokens.ids().tolist() == once + first + second


def test_lower_rate_goes_first_at_its_time() -> None:
    fast, slow = [0, 1, 2, 3, 0, 1], [[4, 5], [6, 7]]
    tokens = AudioTokens({"fast": fast, "slow": slow}, 1920, 16_000, TWO_RATES)
    slow0, slow1 = [4 + 4, 12 + 6], [4 + 5, 12 + 7]
    assert tokens.ids().tolist() == [*slow0, 0, 1, 2, 3, *slow1, 0, 1]


def test_once_streams_lead_wherever_the_layout_has_them() -> None:
    layout = TokenLayout((TokenStream("timed", 25, 1, 4), TokenStream("once", None, 2, 4)))
    tokens = AudioTokens({"timed": [3, 2], "once": [[0], [1]]}, 1280, 16_000, layout)
    assert tokens.ids().tolist() == [4, 9, 3, 2]


def test_sizes_computed_from_the_layout() -> None:
    assert UNICODEC.vocabulary_size == 20_992
    assert UNICODEC.bits_per_second == 1400
    assert UNICODEC.bits_once == 160
    assert (UNICODEC.tokens_per_second, UNICODEC.tokens_once) == (150, 16)
    assert UNIAUDIO.bits_per_second == 325
    assert UNIAUDIO.vocabulary_size == 8192


@pytest.mark.parametrize("layout", [UNIAUDIO, UNICODEC, TWO_RATES])
def test_ranges_of_groups_touch_and_fill_the_vocabulary(layout: TokenLayout) -> None:
    at = 0
    for stream in layout.streams:
        for group in range(stream.groups):
            assert layout.offset(stream.name, group) == at
            at += stream.codebook_size
    assert at == layout.vocabulary_size


def test_first_and_last_id() -> None:
    low = UNIAUDIO.from_ids([0, 8191])
    assert low["audio"].tolist() == [[0, 8191]]
    for wrong in (-1, 8192):
        with pytest.raises(TokenError, match=rf"id {wrong} at position 1 .*ids 0 to 8191"):
            UNIAUDIO.from_ids([0, wrong])


@given(st.integers(1, 10**9), st.sampled_from([8000, 11_025, 44_100, 48_000, 96_000]))
def test_frames_are_the_exact_ceiling(samples: int, rate: int) -> None:
    for value, exact in ((25, Fraction(25)), (12.5, Fraction(25, 2)), (100 / 3, Fraction(100, 3))):
        expected = math.ceil(Fraction(samples) * exact / rate)
        assert TokenStream("x", value, 1, 2).frames(samples, rate) == expected
    assert TokenStream("x", None, 1, 2).frames(samples, rate) == 1


@given(st.integers(1, 10**8), st.sampled_from([8000, 22_050, 44_100, 48_000]))
def test_frames_do_not_depend_on_resampling_first(samples: int, rate: int) -> None:
    stream = TokenStream("audio", 25, 1, 2)
    at_16k = -(-samples * 16_000 // rate)
    assert stream.frames(samples, rate) == -(-at_16k // 640)


def test_frames_of_whole_items_without_length() -> None:
    back = TWO_RATES.from_ids([4, 12, 0, 0, 0, 0])
    assert (back["fast"].shape, back["slow"].shape) == ((1, 4), (2, 1))
    assert (back.samples, back.rate) == (1280, 16_000)


@pytest.mark.parametrize(
    ("layout", "ids", "message"),
    [
        (UNICODEC, [0] * 17, "17 flat ids are not one whole frame, which takes 22"),
        (TWO_RATES, [4, 12, 0, 0, 0, 0, 4], "position 6 begins a frame .* cut the list to 6 ids"),
        (UNIAUDIO, [], "non-empty"),
        (UNIAUDIO, [[1, 2]], r"shape \[1, 2\]"),
        (UNIAUDIO, [0.5], "whole numbers"),
        (TWO_RATES, [4, 5, 0], "id 5 at position 1 .*'slow' group 1 .*belongs to .*'slow' group 0"),
        (TWO_RATES, [4, 12, 20], "id 20 at position 2 .*vocabulary ends at 19"),
    ],
)
def test_bad_ids_name_position_and_value(layout, ids, message) -> None:
    with pytest.raises(TokenError, match=message):
        layout.from_ids(ids)


def test_ids_of_another_length_are_refused() -> None:
    with pytest.raises(TokenError, match=r"3 flat ids do not fit 1280 samples at 16000 Hz.* 2;"):
        UNIAUDIO.from_ids([1, 2, 3], samples=1280, rate=16_000)


@pytest.mark.parametrize(
    ("codes", "samples", "message"),
    [
        ({"audio": [8192]}, 640, "code 8192 of stream 'audio', group 0, frame 0 .*0 to 8191"),
        ({"audio": [0, -1]}, 1280, "code -1 .*frame 1"),
        ({"audio": [0]}, 641, r"shape \[1, 1\], but 641 samples .*\[1, 2\]"),
        ({"audio": [0.0]}, 640, "whole numbers"),
        ({"sound": [0]}, 640, "codes for"),
        ({"audio": [0]}, 0, "samples of tokens"),
    ],
)
def test_bad_codes(codes, samples, message) -> None:
    with pytest.raises(TokenError, match=message):
        AudioTokens(codes, samples, 16_000, UNIAUDIO)


@pytest.mark.parametrize(
    "arguments",
    [("", 25, 1, 2), ("a", 0, 1, 2), ("a", math.nan, 1, 2), ("a", 25, 0, 2), ("a", 25, 1, 1),
     ("a", 25, 1.5, 2), ("a", "25", 1, 2)],
)  # fmt: skip
def test_bad_streams(arguments) -> None:
    with pytest.raises(TokenError):
        TokenStream(*arguments)


def test_layout_needs_streams_with_different_names() -> None:
    with pytest.raises(TokenError, match="at least one"):
        TokenLayout(())
    with pytest.raises(TokenError, match="different names"):
        TokenLayout((TokenStream("a", 25, 1, 2), TokenStream("a", 50, 1, 2)))
    with pytest.raises(TokenError, match=r"no stream 'b'.* has audio"):
        UNIAUDIO["b"]


@given(layouts())
def test_layout_dict_and_back(layout: TokenLayout) -> None:
    assert TokenLayout.from_dict(layout.to_dict()) == layout


def test_layout_dict_refuses_unknown_keys() -> None:
    data = UNIAUDIO.to_dict()
    data["streams"][0]["colour"] = "red"
    with pytest.raises(TokenError, match="colour"):
        TokenLayout.from_dict(data)
    with pytest.raises(TokenError, match="streams"):
        TokenLayout.from_dict({})


def test_tokens_are_immutable_copies() -> None:
    source = np.zeros((1, 2), dtype=np.int32)
    tokens = AudioTokens({"audio": source}, 1280, 16_000, UNIAUDIO)
    source[0, 0] = 7
    assert tokens["audio"][0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        tokens["audio"][0, 0] = 1
    with pytest.raises(TypeError):
        tokens.codes["audio"] = source


def test_equality_and_hash() -> None:
    one, same = random_tokens(UNICODEC, 9000, 16_000), random_tokens(UNICODEC, 9000, 16_000)
    assert one == same and hash(one) == hash(same) and len({one, same}) == 1
    other = AudioTokens(one.codes, 9001, 16_000, UNICODEC, "some/model")
    assert one != other
    assert one != AudioTokens(one.codes, 9000, 16_000, UNICODEC, "another")
    changed = {**one.codes, "global": (one["global"] + 1) % 1024}
    assert one != AudioTokens(changed, 9000, 16_000, UNICODEC, "some/model")
    assert one != "tokens"


def test_pickle_and_copy() -> None:
    tokens = random_tokens(UNICODEC, 9000, 16_000)
    assert pickle.loads(pickle.dumps(tokens)) == tokens
    assert copy.deepcopy(tokens) == tokens


def test_repr_says_what_it_is() -> None:
    text = repr(random_tokens(UNICODEC, 44_100, 44_100))
    for part in ("global 16x1", "semantic 2x25", "1.000 s", "44100 Hz", "some/model"):
        assert part in text


def test_hugging_face_shape() -> None:
    items = [random_tokens(UNICODEC, n, 16_000, n) for n in (640, 3000)]
    codes, mask = AudioTokens.to_hf(items, pad=-100)
    assert codes.shape == (2, 22, 5) and mask.tolist() == [[1, 0, 0, 0, 0], [1] * 5]
    np.testing.assert_array_equal(codes[1, :16], np.repeat(items[1]["global"], 5, axis=1))
    np.testing.assert_array_equal(codes[1, 16:18], items[1]["semantic"])
    np.testing.assert_array_equal(codes[0, 18:, :1], items[0]["residual"])
    assert (codes[0, :, 1:] == -100).all()


def test_hugging_face_shape_refuses_what_does_not_fit() -> None:
    with pytest.raises(TokenError, match="one rate"):
        AudioTokens.to_hf([random_tokens(TWO_RATES, 640, 16_000)])
    with pytest.raises(TokenError, match="one layout"):
        AudioTokens.to_hf([random_tokens(layout, 640, 16_000) for layout in (UNIAUDIO, UNICODEC)])
    with pytest.raises(TokenError, match="at least one"):
        AudioTokens.to_hf([])
