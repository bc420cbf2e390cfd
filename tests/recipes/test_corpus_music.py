import itertools

import numpy as np
import pytest
import soundfile
from recipes.corpus import music
from recipes.packages import Packages

from unisono.errors import DataError


@pytest.mark.parametrize("cuts", [1, 2, 3])
@pytest.mark.parametrize("duration", [4.0, 5.0, 25.0, 26.0, 49.9, 50.0, 75.5, 240.0])
def test_cuts_lie_in_the_song_and_do_not_overlap(duration, cuts):
    found = list(music.places(duration, cuts))
    assert len(found) <= cuts
    assert (not found) == (duration < 5.0)
    for begin, end in found:
        assert 0.0 <= begin < end <= duration + 1e-9
        assert end - begin == pytest.approx(min(duration, 25.0))
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(found))


def test_a_long_song_gives_all_cuts_from_different_places():
    assert music.places(100.0, 2, 20.0) == [(20.0, 40.0), (60.0, 80.0)]


def test_songs_are_cut_and_share_a_key(tmp_path):
    folder = tmp_path / "unpacked/widelands-data/songs"
    folder.mkdir(parents=True)
    rate = 2_000
    ramp = np.linspace(0.0, 0.9, 60 * rate)
    soundfile.write(folder / "ingame_24.flac", np.stack([ramp, ramp], axis=1), rate)
    soundfile.write(folder / "ingame_01.wav", ramp[: 3 * rate], rate)
    (folder / "credits.txt").write_text("nobody")
    clips = list(music.songs(Packages(tmp_path, tmp_path / "unpacked"), "widelands-data", "songs"))
    assert [clip.key for clip in clips] == ["ingame_24", "ingame_24"]
    assert {(clip.label, clip.licence) for clip in clips} == {("music", "CC-BY-SA-3.0")}
    gap = (60 - 2 * music.CUT) / 3
    for index, clip in enumerate(clips):
        begin = round((gap + index * (music.CUT + gap)) * rate)
        np.testing.assert_allclose(clip.samples, ramp[begin : begin + 25 * rate], atol=1e-3)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "broken.ogg"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"broken\.ogg"):
        list(music.read_cuts(path, 2))
