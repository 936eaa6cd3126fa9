"""Which grooves of MMA's library play a style, how fast, and in how many beats a bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """A style file of the library is a group: its grooves share players, patterns and a writer."""

    bpm: tuple[int, int]  # slowest and fastest
    files: Mapping[str, tuple[str, ...]]  # style file -> its grooves that go on for ever: no intro, no fill, no end
    beats_per_bar: int = 4


def _style(slowest: int, fastest: int, files: str, beats_per_bar: int = 4) -> Style:
    lines = [line.split() for line in files.strip().splitlines()]
    return Style((slowest, fastest), {name: tuple(grooves) for name, *grooves in lines}, beats_per_bar)


STYLES: dict[str, Style] = {
    "ballad": _style(
        56,
        90,
        """
        casio/16beatballad1 16BeatBallad1
        casio/16beatballad2 16BeatBallad2
        casio/16beatballad3 16BeatBallad3
        casio/8beatballad1 8BeatBallad1
        casio/8beatballad2 8BeatBallad2
        casio/popballad PopBallad
        kara/kwestballad kwestballadA kwestballadB kwestballadC
        stdlib/ballad Ballad BalladSus Ballad1
        stdlib/ballad128 Ballad128 Ballad128Plus
        stdlib/guitarballad GuitarBallad GuitarBallad1
        stdlib/pianoballad PianoBallad PianoBallad1 PianoBallad2
        stdlib/rockballad RockBallad RockBallad1
        """,
    ),
    "blues": _style(
        66,
        132,
        """
        casio/blues Blues
        casio/shuffleboogie ShuffleBoogie
        stdlib/blues Blues BluesSus BluesTriple
        stdlib/blues128 Blues128 Blues128Plus
        stdlib/boggiewoggie BoggieWoggie BoggieWoggie1 BoggieWoggie2
        stdlib/countryblues CountryBlues CountryBluesWalk
        stdlib/fastblues FastBlues FastBluesWalk
        stdlib/shuffleboggie ShuffleBoggie ShuffleBoggie1
        stdlib/slowblues SlowBlues SlowBluesWalk4
        """,
    ),
    "country": _style(
        96,
        180,
        """
        stdlib/bluefolk BlueFolk BlueFolk2
        stdlib/bluegrass BlueGrass BlueGrassSus
        stdlib/countryswing CountrySwing CountrySwing1
        stdlib/folk Folk FolkWalk
        stdlib/folkrock FolkRock FolkRockPlus
        stdlib/hillcountry HillCountry HillCountryPlus
        stdlib/slowcountry SlowCountry SlowCountryWalk
        stdlib/westernswing WesternSwing WesternSwingPlus
        stdlib/zydeco Zydeco ZydecoPlus
        yamaha/jazzcountry JazzCountryMainA JazzCountryMainB
        yamaha/western WesternMainA WesternMainB
        """,
    ),
    "electronic": _style(
        100,
        150,
        """
        alexis/teamtechno TeamTechno TeamTechnoSus
        casio/8beatdance 8BeatDance
        casio/dance1 Dance1
        casio/dance2 Dance2
        casio/dancepop1 DancePop1
        casio/dancepop2 DancePop2
        casio/electricpop ElectricPop
        casio/house House
        casio/rave Rave
        casio/techno Techno
        casio/trance1 Trance1
        stdlib/trance Trance Trance1 Trance2
        """,
    ),
    "funk_soul": _style(
        84,
        124,
        """
        alexis/hiphop HipHop HipHopPlus1
        casio/60ssoul 60sSoul
        casio/discosoul DiscoSoul
        casio/funk1 Funk1
        casio/funk2 Funk2
        casio/modernrb ModernR&B
        casio/r+b R&B
        casio/soul Soul
        casio/soulpop SoulPop
        kara/8beatmotown 8beatmotownA 8beatmotownB
        stdlib/bvfunk BVFunk BVFunkHorns
        stdlib/dsoul DSoul DSoulPlus
        """,
    ),
    "jazz": _style(
        104,
        196,
        """
        casio/jazzcombo JazzCombo
        casio/middlebigband MiddleBigBand
        casio/modernjazz ModernJazz
        casio/swing Swing
        stdlib/bigband BigBand BigBandPlus
        stdlib/fastswing FastSwing FastSwingWalk
        stdlib/jazzcombo JazzCombo JazzCombo1
        stdlib/jazzguitar JazzGuitar JazzGuitarWalk
        stdlib/mellowjazz MellowJazz MellowJazzPlus
        stdlib/slowjazz SlowJazz SlowJazzWalk
        yamaha/jazzswing JazzSwingMainA JazzSwingMainB
        yamaha/jazztrio JazzTrioMainA JazzTrioMainB
        """,
    ),
    "latin": _style(
        92,
        190,
        """
        stdlib/bolero Bolero BoleroAlt
        stdlib/bossanova BossaNova BossaNovaPlus
        stdlib/calypso Calypso Calypso1
        stdlib/chacha ChaCha ChaCha1
        stdlib/mambo Mambo Mambo1 Mambo2
        stdlib/merengue Merengue Merengue1
        stdlib/rhumba Rhumba Rhumba1
        stdlib/salsa Salsa SalsaPlus
        stdlib/samba Samba SambaPlus
        stdlib/son Son SonPlus
        yamaha/mambo MamboMainA MamboMainB
        yamaha/salsa1 Salsa1MainA Salsa1MainB
        """,
    ),
    "march_polka": _style(
        100,
        144,
        """
        casio/germanmarch GermanMarch
        casio/march1 March1
        casio/polka Polka
        casio/polkafox PolkaFox
        casio/poppolka PopPolka
        stdlib/bwmarch BWMarch BWMarchPlus
        stdlib/dixiemarch DixieMarch DixieMarchPlus
        stdlib/march March March1 March2
        stdlib/polka Polka PolkaArp Polka1
        """,
    ),
    "rock": _style(
        94,
        164,
        """
        casio/digitalrock DigitalRock
        casio/heavymetal HeavyMetal
        casio/poprock1 PopRock1
        casio/rock1 Rock1
        casio/rock2 Rock2
        casio/shufflerock ShuffleRock
        kara/K50s_rock 50s_RockA 50s_RockB
        stdlib/50srock 50sRock 50sRock1
        stdlib/60srock 60sRock 60sRock1
        stdlib/basicrock BasicRock BasicRock4
        stdlib/softrock SoftRock SoftRock1
        yamaha/w-rock W-RockMainA W-RockMainB
        """,
    ),
    "waltz": _style(
        84,
        190,
        """
        casio/jazzwaltz JazzWaltz
        casio/popwaltz PopWaltz
        stdlib/arpeggiowaltz ArpeggioWaltz ArpeggioWaltz8
        stdlib/broadwaywaltz BroadwayWaltz BroadwayWaltz1
        stdlib/countrywaltz CountryWaltz CountryWaltzWalk
        stdlib/fastwaltz FastWaltz FastWaltzPlus
        stdlib/frenchwaltz FrenchWaltz FrenchWaltz1
        stdlib/jazzwaltz JazzWaltz JazzWaltz1
        stdlib/latinwaltz LatinWaltz LatinWaltzPlus
        stdlib/rockwaltz RockWaltz RockWaltz1
        stdlib/waltz Waltz WaltzWalk
        yamaha/jazzwaltz JazzWaltzMainA JazzWaltzMainB
        """,
        beats_per_bar=3,
    ),
}
