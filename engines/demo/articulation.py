"""The seven numbers that drive the mouth, and how speech sounds become them.

| index | name  | range    | meaning |
| ---   | ---   | ---      | --- |
| 0     | open  | -0.3..1  | gap between the lips; below 0 they are pressed together |
| 1     | jaw   | 0..1     | how far the jaw (chin, lower teeth, tongue) has dropped |
| 2     | width | -1..1    | corners drawn in (-1) or spread (1) |
| 3     | round | 0..1     | lips pushed forward and rounded |
| 4     | upper | 0..1     | how much of the upper teeth shows |
| 5     | lower | 0..1     | how much of the lower teeth shows |
| 6     | tongue| 0..1     | tongue raised towards the upper teeth |

Closures aim *below* zero (-0.3): a smoothed or predicted track that falls a little short of its aim still shuts
the lips, which a track aiming at 0 would not.
"""

import numpy as np

PARAMETERS = ("open", "jaw", "width", "round", "upper", "lower", "tongue")
CLOSED = -0.3
REST = np.array([CLOSED, 0.0, 0.0, 0.0, 0.4, 0.0, 0.2], np.float32)

# open, jaw, width, round, upper, lower, tongue
VISEMES = {
    "rest": REST,
    "bilabial": (0.05, 0.12, 0.0, 0.05, 0.4, 0.0, 0.2),  # p b m, shut by track()
    "labiodental": (0.10, 0.15, 0.1, 0.0, 1.0, 0.0, 0.1),  # f v
    "dental": (0.28, 0.25, 0.1, 0.0, 0.7, 0.2, 0.9),  # th
    "alveolar": (0.26, 0.22, 0.15, 0.0, 0.6, 0.25, 0.8),  # t d n l
    "sibilant": (0.22, 0.08, 0.35, 0.0, 0.8, 0.8, 0.2),  # s z
    "postalveolar": (0.28, 0.12, -0.35, 0.6, 0.7, 0.6, 0.3),  # sh zh ch j
    "velar": (0.32, 0.30, 0.1, 0.0, 0.5, 0.2, 0.4),  # k g ng
    "rhotic": (0.26, 0.22, -0.3, 0.45, 0.4, 0.2, 0.5),  # English r, vowel r
    "glottal": (0.32, 0.30, 0.0, 0.0, 0.4, 0.1, 0.2),  # h and back fricatives
    "glide_w": (0.14, 0.15, -0.9, 1.0, 0.0, 0.0, 0.2),
    "glide_j": (0.26, 0.15, 0.6, 0.0, 0.7, 0.4, 0.5),
    "a": (0.95, 0.95, 0.15, 0.0, 0.6, 0.3, 0.1),  # father
    "ae": (0.80, 0.75, 0.5, 0.0, 0.8, 0.4, 0.2),  # cat
    "uh": (0.60, 0.55, 0.05, 0.0, 0.5, 0.2, 0.2),  # cut
    "schwa": (0.42, 0.38, 0.0, 0.05, 0.5, 0.2, 0.25),
    "e": (0.58, 0.48, 0.55, 0.0, 0.8, 0.4, 0.3),  # bed, day
    "i": (0.34, 0.20, 0.95, 0.0, 0.9, 0.6, 0.4),  # see
    "ih": (0.38, 0.28, 0.5, 0.0, 0.8, 0.4, 0.35),  # sit
    "o": (0.58, 0.50, -0.6, 0.85, 0.1, 0.1, 0.1),  # go
    "open_o": (0.75, 0.70, -0.35, 0.55, 0.3, 0.2, 0.1),  # law
    "u": (0.22, 0.22, -0.9, 1.0, 0.0, 0.0, 0.2),  # too
    "y": (0.24, 0.18, -0.7, 0.9, 0.2, 0.2, 0.5),  # front rounded
    "oe": (0.45, 0.38, -0.45, 0.7, 0.3, 0.2, 0.4),
}
VISEMES = {name: np.array(aim, np.float32) for name, aim in VISEMES.items()}

# How firmly a sound holds its aim against its neighbours: closures always win, vowels beat most consonants.
STRENGTH = {"rest": 1.0, "bilabial": 1.2, "labiodental": 1.6, "sibilant": 1.4, "postalveolar": 1.6, "glide_w": 1.6}
WEAK = {"alveolar", "velar", "glottal", "dental", "rhotic"}

CLASSES = {
    "bilabial": "pbmɓ",
    "labiodental": "fvɱʋβɸ",
    "dental": "θð",
    "alveolar": "tdnlɾɫɗɲʎʈɖɳɭ",
    "sibilant": "szɬ",
    "postalveolar": "ʃʒɕʑʂʐç",
    "velar": "kɡgŋqɢ",
    "rhotic": "ɹɻɚɝ",
    "glottal": "hɦxɣχʁħʕʔrʀ",
    "glide_w": "wʍɥ",
    "glide_j": "jʝ",
    "a": "aɑä",
    "ae": "æɐ",
    "uh": "ʌ",
    "schwa": "əɜɘɵᵊ",
    "e": "eɛ",
    "i": "i",
    "ih": "ɪɨ",
    "o": "o",
    "open_o": "ɔɒɤ",
    "u": "uʊɯ",
    "y": "yʏ",
    "oe": "øœɞ",
}
CLASS_OF = {symbol: name for name, symbols in CLASSES.items() for symbol in symbols}


def classes(phoneme):
    """The viseme classes of one IPA phoneme name, in order: a diphthong or an affricate has two."""
    found = [CLASS_OF[symbol] for symbol in phoneme if symbol in CLASS_OF]
    if found[:2] == ["alveolar", "postalveolar"] or found[:2] == ["alveolar", "sibilant"]:
        return found[1:2]
    return found[:2]


def track(phonemes, seconds, rate_hz=100):
    """Articulation `[ceil(seconds * rate_hz), 7]` of timed phonemes `[(start_s, end_s, ipa), ...]`.

    Coarticulation: every sound spreads a bell-shaped weight over its own time and some of its neighbours', times how
    firmly it holds; the track is the weighted mean of the aims (the dominance model of Cohen and Massaro, 1993).
    Closures are then laid over it so that no neighbour can pull the lips of /p b m/ apart.
    """
    times = (np.arange(int(np.ceil(seconds * rate_hz))) + 0.5) / rate_hz
    weight = np.full(len(times), 1e-4)
    total = weight[:, None] * REST.astype(np.float64)
    shut = np.zeros(len(times))
    speaking = sorted(p for p in phonemes if classes(p[2]))
    for start, end, name in speaking + rests(speaking, seconds):
        kinds = ["rest"] if name == "" else classes(name)
        part = (end - start) / len(kinds)
        for i, kind in enumerate(kinds):
            begin, finish = start + i * part, start + (i + 1) * part
            hold = STRENGTH.get(kind, 0.6 if kind in WEAK else 1.0)
            outside = np.maximum(0.0, np.maximum(begin - times, times - finish))
            inside = np.clip((finish - begin) / 0.08, 0.5, 1.0)
            bell = hold * inside * np.exp(-((outside / 0.035) ** 2))
            weight += bell
            total += bell[:, None] * VISEMES[kind]
            if kind == "bilabial":
                centre, half = (begin + finish) / 2, max((finish - begin) / 2, 0.030)
                shut = np.maximum(shut, np.clip((1.3 - np.abs(times - centre) / half) / 0.75, 0.0, 1.0))
    path = total / weight[:, None]
    path[:, 0] = path[:, 0] * (1 - shut) + CLOSED * shut
    return path.astype(np.float32)


def rests(speaking, seconds, longest_gap=0.12):
    """The silences between timed phonemes (and before and after them) as phonemes named ''."""
    edges = [(0.0, 0.0)] + [(start, end) for start, end, _ in speaking] + [(seconds, seconds)]
    gaps = [(a[1], b[0]) for a, b in zip(edges, edges[1:])]
    first_last = {0, len(gaps) - 1}
    return [(a, b, "") for i, (a, b) in enumerate(gaps) if b - a > longest_gap or (i in first_last and b - a > 0.03)]


def at_frames(path, frames, fps=25, rate_hz=100):
    """The track at the middle of each video frame's time on screen, `[frames, 7]`."""
    at = (np.arange(frames) + 0.5) / fps * rate_hz - 0.5
    known = np.arange(len(path))
    return np.stack([np.interp(at, known, path[:, i]) for i in range(path.shape[1])], 1).astype(np.float32)
