"""The list of sources."""

from __future__ import annotations

from functools import partial

from recipes.corpus import asterisk, fillets, hedgewars, pocketsphinx, tuxpaint
from recipes.corpus.build import Source
from recipes.corpus.table import PACKAGES


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
    )
