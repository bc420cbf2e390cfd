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
_TRIPLEA: Rules = (
    (SPEECH, r"anthem|theme|overture|epic|lotr|march|classic_music|la_reine|colosseum|gladiator"),
    (SPEECH, r"cheering|massacre|chaos|robot|2608|_appear$"),
    ("wood work", r"sawing_wood"),
    ("water", r"_01_splash_and_waves"),
    ("birds", r"_hawk_"),
    ("metal impact", r"sword_fighting(_with_no_cannon)?$"),
    ("gunshot", r"musket_volley|machine_gun|infantry_being_shot_at"),
    ("cannon", r"just_aa_artillery|battleship_volley"),
    ("horn or bell", r"horn$|door_bell|short_fanfare|sad_trumpet"),
    ("engine", r"air_flyby$|air_close_flyby$"),
    ("drum", r"_drumming$"),
)
_UNKNOWN_HORIZONS: Rules = (
    (SPEECH, r"/events/|main_square|tavern|success"),
    ("wood work", r"/lumberjack"),
    ("stone work", r"/stonemason"),
    ("metal impact", r"/smith$"),
    ("horn or bell", r"/ships_bell"),
    ("livestock", r"/sheepfield"),
)
_LINCITY: Rules = (
    (SPEECH, r"/(market|school|university|residential|shanty|sports|commune)"),
    ("metal impact", r"/blacksmith"),
    ("fire", r"/fire\d"),
)
_CUBE2: Rules = (
    (SPEECH, r"olpc/(?!michaelbierylo)"),
    ("gunshot", r"q009/(pistol|shotgun|minigun)"),
    ("explosion", r"q009/explosion|sfx/explode"),
    ("fire", r"sfx/burning"),
    ("metal impact", r"sfx/tink"),
    ("water", r"waterdrip|watersplash"),
    ("engine", r"chainsaw/"),
)
_CAVEEXPRESS: Rules = (
    (SPEECH, r"/music-|water-rescue|player-pain|npc-walking-(?!walk)|npc-blowing"),
    ("water", r"water-(impact|leave|rising)|waterfall|swimming"),
    ("animal", r"npc-mammut-(?!walk)"),
)
_MADBOMBER: Rules = (
    (SPEECH, r"/highscore$"),
    ("water", r"/splash"),
)
_BRAINPARTY: Rules = (
    ("livestock", r"/baa"),
    ("gunshot", r"/gun\d"),
    ("breaking", r"/glass_break"),
    ("explosion", r"/explosion"),
    ("cat", r"/meow"),
)
_HYPERROGUE: Rules = (
    (SPEECH, r"prince|cultist|necroman|vizier|gardener|rosebeauty|fairy|/tada|/levelup"),
    ("birds", r"-bomberbird|-eagle"),
    ("livestock", r"/bull$"),
    ("water", r"/splash"),
    ("fire", r"/fire$"),
    ("explosion", r"/explosion"),
    ("gate", r"(open|close)gate"),
    ("dog", r"seen-woof"),
    ("frog", r"seen-frog"),
)
_FREEDROIDRPG: Rules = (
    (SPEECH, r"voice_samples/|comments/|scream|takeover_game|thouart"),
    ("breaking", r"/glass_break"),
    ("footstep", r"/tux_footstep"),
    ("explosion", r"/blast_sound"),
    ("metal impact", r"/drop_sword"),
)
_HEX_A_HOP: Rules = (
    (SPEECH, r"/music-|sound-win"),
    ("breaking", r"sound-crack"),
    ("explosion", r"sound-explode"),
)
_PLEE_THE_BEAR: Rules = (
    ("water", r"weather/rain"),
    ("frog", r"frog/croak"),
)
_PEKKA_KANA: Rules = (
    (SPEECH, r"/music/|sprites/p_"),
    ("livestock", r"sfx/moo$|sprites/pig"),
    ("birds", r"sprites/(bird|chick|crow|hen)(_ko)?$"),
    ("water", r"sfx/splash"),
    ("breaking", r"/boxcrack"),
    ("explosion", r"sprites/explot"),
    ("insects", r"sprites/bee(hive)?$"),
    ("frog", r"sprites/frog_"),
)
_SCRATCH: Rules = (
    ("footstep", r"human/footsteps"),
    ("scream", r"human/scream"),
    (SPEECH, r"/(human|vocals|instruments|music loops|electronic)/"),
    ("birds", r"animal/(duck|goose)$"),
    ("dog", r"animal/dog"),
    ("cat", r"animal/(cat|kitten)$"),
    ("insects", r"animal/crickets?$"),
    ("water", r"effects/water"),
)
_SIMUTRANS: Rules = (
    ("wood work", r"/buzzsaw"),
    ("birds", r"/seagulls"),
)
_HOMEDECOR: Rules = (
    ("water", r"_shower|_toilet_flush|_faucet"),
    ("fire", r"/fire_small"),
    ("horn or bell", r"_doorbell"),
    ("gate", r"_gate_"),
)
_UNIFIED_INVENTORY: Rules = (
    ("birds", r"/(birds|owl)$"),
    ("horn or bell", r"/dingdong"),
)
_POMODORO: Rules = (
    ("birds", r"/birds$"),
    ("horn or bell", r"/(loud-)?bell$"),
)
_7KAA: Rules = (
    ("water", r"/rain$"),
    ("thunder", r"/thunder$"),
)
_DUSTRACING: Rules = (
    (SPEECH, r"/cheering"),
    ("engine", r"/carengine"),
    ("horn or bell", r"/bell$"),
)
_SOUND_ICONS: Rules = (
    ("birds", r"/canary"),
    ("insects", r"/cockchafer"),
    ("horn or bell", r"/trumpet"),
    (SPEECH, r"/(cembalo|chord|cymbaly|electric-piano|guitar|klavichord|piano|pipe|violoncello)"),
    (SPEECH, r"/xylofon"),
)
_BERUSKY: Rules = (  # Czech names
    (SPEECH, r"/(juch|hopla|fairy|pray|voc|silence)\d*$"),
    ("birds", r"/(ptak|crow|racek|les)\d+$"),
    ("water", r"/(voda|zblunk|bubl|bubliny|kap|dest)\d+$"),
    ("explosion", r"/exploze\d"),
    ("footstep", r"/w?step"),
    ("metal impact", r"/(krumpac|hrebik)\d|pad_krompace|push steel"),
    ("wood work", r"/(push wood|paddrevo)$"),
    ("breaking", r"/rozpad\d"),
    ("engine", r"/(auto|parnik)\d"),
    ("horn or bell", r"/zvon\d"),
    ("thunder", r"/hrom\d"),
    ("wind", r"/vitr\d"),
    ("frog", r"/frog\d"),
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
    "triplea": _TRIPLEA,
    "unknown-horizons": _UNKNOWN_HORIZONS,
    "lincity-ng-data": _LINCITY,
    "cube2-data": _CUBE2,
    "caveexpress-data": _CAVEEXPRESS,
    "madbomber-data": _MADBOMBER,
    "brainparty-data": _BRAINPARTY,
    "hyperrogue-music": _HYPERROGUE,
    "freedroidrpg-data": _FREEDROIDRPG,
    "hex-a-hop-data": _HEX_A_HOP,
    "plee-the-bear-data": _PLEE_THE_BEAR,
    "pekka-kana-2-data": _PEKKA_KANA,
    "scratch": _SCRATCH,
    "simutrans-pak64": _SIMUTRANS,
    "minetest-mod-homedecor": _HOMEDECOR,
    "minetest-mod-unified-inventory": _UNIFIED_INVENTORY,
    "gnome-shell-pomodoro-data": _POMODORO,
    "7kaa-data": _7KAA,
    "dustracing2d-data": _DUSTRACING,
    "sound-icons": _SOUND_ICONS,
    "berusky2-data": _BERUSKY,
}
