"""The list of sources."""

from __future__ import annotations

from functools import partial

from recipes.corpus import (
    asterisk,
    fillets,
    games,
    hedgewars,
    kde,
    kokoro,
    music,
    pocketsphinx,
    sounds,
    synthesis,
    tongues,
    tuxpaint,
)
from recipes.corpus.build import Source
from recipes.corpus.table import PACKAGES

_SONGS = (  # source, package, folder, licence, held out
    ("widelands-music", "widelands-data", "widelands/data/music", "GPL-2.0", False),
    ("wesnoth-music", "wesnoth-1.16-music", "wesnoth/1.16/data/core/music", "GPL-2.0", False),
    ("hedgewars-music", "hedgewars-data", "hedgewars/Data/Music", "GPL-2.0", False),
    ("colobot-music", "colobot-common-sounds", "colobot/music", "GPL-3.0", True),
)


def all_sources() -> tuple[Source, ...]:
    """Every source, in the order in which they are built."""
    return (
        *(
            Source(
                f"asterisk-{language}",
                PACKAGES[f"asterisk-core-sounds-{language}-g722"].licence,
                partial(asterisk.prompts, language=language),
            )
            for language in ("es", "fr", "it", "ru")
        ),
        Source("fillets-cs", "GPL-2.0", partial(fillets.dialogue, language="cs")),
        Source("fillets-nl", "GPL-2.0", partial(fillets.dialogue, language="nl")),
        Source("tuxpaint", "GPL-2.0", tuxpaint.descriptions),
        Source("hedgewars-voices", "GPL-2.0", hedgewars.voices),
        Source(
            "asterisk-en",
            "CC-BY-SA-3.0",
            partial(asterisk.prompts, language="en", with_digits=False),
            evaluation=True,
        ),
        Source("pocketsphinx", "BSD-2-Clause", pocketsphinx.transcribed, evaluation=True),
        Source("klettres", "GPL-2.0", kde.letters, phase=2),
        Source("ktuberling", "GPL-2.0", kde.words, phase=2),
        *(
            Source(f"flite-{voice}", "BSD-like", partial(synthesis.flite, voice=voice), phase=2)
            for voice in ("kal16", "awb", "rms", "slt")
        ),
        Source("piper-joe", "CC0-1.0", synthesis.joe, phase=2),
        Source("supertux", "GPL-2.0", sounds.songs, phase=3, kind="music"),
        Source("hydrogen-drumkits", "various", sounds.drums, phase=3, kind="sound"),
        Source("opensfx", "CC-BY-SA-3.0", sounds.effects, phase=3, kind="sound"),
        Source("kokoro", "Apache-2.0", kokoro.english, phase=3),
        Source("pico", "Apache-2.0", tongues.pico, phase=3),
        Source("festival", tongues.FESTIVAL_LICENCE, tongues.festival, phase=3),
        *(
            Source(
                name,
                licence,
                partial(music.songs, package=package, folder=f"usr/share/games/{folder}"),
                phase=4,
                kind="music",
                evaluation=held_out,
            )
            for name, package, folder, licence, held_out in _SONGS
        ),
        Source("sonic-pi", "CC0-1.0", sounds.sonic_pi, phase=4, kind="sound"),
        *(
            Source(
                game.source,
                game.licence,
                partial(games.game_sounds, game=game),
                phase=4,
                kind="sound",
                evaluation=game.evaluation,
                shortest=games.SHORTEST,
            )
            for game in games.GAMES
        ),
        Source(
            "asterisk-it-menardi-8k",
            PACKAGES["asterisk-prompt-it-menardi-wav"].licence,
            asterisk.menardi,
            phase=4,
            evaluation=True,
        ),
    )
