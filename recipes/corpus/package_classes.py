"""Class labels of the packages whose names need rules of their own (ours).

A rule is a label and a pattern; the first pattern that a name matches decides. `SPEECH` marks
spoken lines, shouts and music, which are no sounds. Besides the twelve classes there are labels
that only training has (dog, thunder, wind, scream...); a name that no rule knows has no label.
"""

from __future__ import annotations

from collections.abc import Mapping

SPEECH = "speech"
Rules = tuple[tuple[str, str], ...]

_0AD: Rules = (
    (SPEECH, r"audio/(voice|music)/"),
    ("livestock", r"fauna/animal/(camel|cattle|elephant|horse|pig|sheep)"),
    ("livestock", r"fauna/death/(death_camel|death_horse|goat)|mounted/death/"),
    ("birds", r"fauna/animal/(chicken|flamingo|peacock)"),
    ("lion", r"fauna/animal/lion"),
    ("footstep", r"singlesteps/fs_|human/movement/(footsteps/|hstep)"),
    ("hooves", r"mounted/movement/mstep"),
    ("scream", r"human/death/"),
    ("gate", r"actor/gate/"),
    ("water", r"ambient/water/|weather/rain"),
    ("thunder", r"weather/thunder"),
    ("wind", r"weather/(wind|snowstorm)"),
    ("metal impact", r"weapon/swordhit|impact/(shield|arrow|sling)_metal|mining/mine_metal"),
    ("gunshot", r"weapon/musket"),
    ("bow", r"weapon/bow_attack"),
    ("arrow", r"weapon/arrowfly"),
    ("fire", r"attack/fire/"),
    ("explosion", r"destruction/explode"),
    ("breaking", r"destruction/building_collapse|impact/siegeprojectilehit"),
    ("wood work", r"construction/con_(saw|wood)|lumbering/lumber_tree_"),
    ("falling tree", r"lumbering/lumber_treeexpire"),
    ("stone work", r"mining/mine_stone|construction/con_stone"),
    ("rustling leaves", r"foraging/leaves"),
)
_OPENCLONK: Rules = (
    (SPEECH, r"/music|skin\.ocg/|groupattack"),
    ("footstep", r"movement\.ocg/step(hard|soft)"),
    ("water", r"liquids\.ocg/(bubble|splash|stereorain|swim|waterdrop)|/waterfall$|divingloop"),
    ("wood work", r"tree\.ocg/chop|sawmillripcut"),
    ("fire", r"fire\.ocg/(fire|fireball|inflame)$|furnace\.ocg/loop"),
    ("explosion", r"fire\.ocg/blast(metal|\d)"),
    ("metal impact", r"metal\.ocg/.*metalhit|pickaxe\.ocg/clang|shield\.ocg/metalhit"),
    ("breaking", r"glass(break|shatter)$|rockfall|tree\.ocg/crack$"),
    ("gunshot", r"blunderbuss\.ocg/(bulletshot|gunshoot)"),
    ("engine", r"propellerloop|steamengine|pumpjack|sawmill\.ocd/engine"),
    ("horn or bell", r"ui\.ocg/(trumpet|fanfare)"),
    ("birds", r"/birdsloop$"),
    ("thunder", r"/thunder\d"),
    ("wind", r"/windloop$|windbag\.ocg/gust"),
    ("animal", r"animals\.ocg/(bat|mooq|monster|wipf)\.ocg/(?!flutter|munch|spit)"),
)
_REDECLIPSE: Rules = (
    (SPEECH, r"/announcer/|/voice/|/maps/|sounds/(original|theme)|player/(pain|death|jump)"),
    ("footstep", r"player/(conc|foot)step"),
    ("water", r"player/swimstep|sfx/(splash|splosh)|ambience/(cavedrip|creek|river|water)"),
    ("water", r"morph/(rain|stormrain)"),
    ("gunshot", r"weapons/(pistol|shotgun|smg)/(primary|secondary)"),
    ("fire", r"ambience/fire|sfx/burn|weapons/(burn|singe|flamer/(primary|secondary))"),
    ("explosion", r"weapons/(mine/)?explode"),
    ("engine", r"(ambience|morph)/machine"),
    ("metal impact", r"weapons/tink|sfx/shell"),
    ("breaking", r"sfx/debris"),
    ("wind", r"ambience/[a-z]*wind$|morph/(storm)?wind"),
    ("insects", r"cycadas|nightcrickets"),
)
_WARZONE: Rules = (
    (SPEECH, r"^(?!.*audio/sfx/)|sfx/misc/help"),
    ("gunshot", r"weapons/(mgbar|mgheavy|mgtower|asltmg)"),
    ("cannon", r"weapons/\w+can$|weapons/mortar"),
    ("fire", r"weapons/flmthrow"),
    ("water", r"weapons/splash"),
    ("explosion", r"explons/\w+expl"),
    ("breaking", r"explons/bldfall"),
    ("ricochet", r"explons/richet"),
    ("engine", r"sfx/vehicle/|building/oilpump"),
    ("scream", r"misc/scream"),
)
_WARMUX: Rules = (
    (SPEECH, r"/music/|/voices/|_music$|misc/(newcomer|sherif|victory)|homerun"),
    ("explosion", r"weapons/(explosion\d|dynamite_exp|riot_bomb_exp|cluzooka_hit)"),
    ("metal impact", r"anvil_collision|m16_cartridge|grenade_bounce"),
    ("gunshot", r"weapons/(gun|shotgun|m16)$"),
    ("ricochet", r"weapons/ricoche"),
    ("fire", r"weapons/(blowtorch|flame|embers\d)"),
    ("footstep", r"misc/step$"),
    ("engine", r"weapons/(aircraft_flying|airhammer_used)"),
)
_BTANKS: Rules = (
    (SPEECH, r"/tunes/|sounds/laugh"),
    ("explosion", r"explosion\d?$"),
    ("cannon", r"sounds/cannon"),
    ("gunshot", r"sounds/(shot|machinegunner-bullet)$"),
    ("livestock", r"sounds/cow$"),
    ("engine", r"sounds/(engine-|helicopter|tank-move|train|vehicle-sound|submarine)"),
    ("fire", r"sounds/fire(-fadeout)?$"),
    ("horn or bell", r"sounds/klaxon"),
    ("footstep", r"sounds/man-steps"),
    ("scream", r"sounds/(deadman|kamikaze-scream)"),
)
_LUGARU: Rules = (
    (SPEECH, r"/music"),
    ("footstep", r"sounds/footstep"),
    ("metal impact", r"sounds/(clank|metalhit)"),
    ("fire", r"sounds/fire(start|end)?$"),
    ("breaking", r"sounds/(break|broken|staffbreak)$"),
    ("dog", r"sounds/(bark|growl|snarl)"),
    ("birds", r"sounds/hawk$"),
    ("wind", r"sounds/wind$"),
)
_FLARE: Rules = (
    (SPEECH, r"/music/|/npcs/"),
    ("footstep", r"steps/step_"),
    ("water", r"environment/(rain|river|cave_droplets)"),
    ("metal impact", r"environment/anvil|inventory_(metal|maille)"),
    ("fire", r"environment/open_fire|powers/(burn|fireball)"),
    ("birds", r"bird_twitter|forest_owl|raven"),
    ("breaking", r"falling_rocks"),
    ("wind", r"wind_loop"),
    ("thunder", r"powers/thunder"),
    ("scream", r"/(fe)?male_(die|hit)$"),
)
_ARDENTRYST: Rules = (
    (SPEECH, r"/music/|(amb|voi)_intro"),
    ("footstep", r"_step_"),
    ("water", r"rain_loop"),
    ("wind", r"cavewind"),
    ("scream", r"_pain\d"),
)
_OPENARENA: Rules = (
    (SPEECH, r"/music/|announcer|/sarge/|feedback/|/voice"),
    ("water", r"footsteps/splash|player/watr_|world/(waterfall|drops)"),
    ("footstep", r"footsteps/(boot|clank|mech|step)"),
    ("gunshot", r"machinegun/machgf|shotgun/sshot|vulcan/(vulcanf|wvulfire)"),
    ("ricochet", r"machinegun/ric"),
    ("metal impact", r"grenade/hgrenb"),
    ("explosion", r"rocket/rocklx|proxmine/wstbexpl"),
    ("fire", r"world/fire"),
    ("engine", r"world/(fan|machinery|tim_(machine|pump))"),
    ("wind", r"world/(wind|demonwind)"),
)

PACKAGE_RULES: Mapping[str, Rules] = {
    "0ad-data": _0AD,
    "openclonk-data": _OPENCLONK,
    "redeclipse-data": _REDECLIPSE,
    "warzone2100-data": _WARZONE,
    "warmux-data": _WARMUX,
    "btanks-data": _BTANKS,
    "lugaru-data": _LUGARU,
    "flare-game": _FLARE,
    "ardentryst": _ARDENTRYST,
    "openarena-data": _OPENARENA,
}
