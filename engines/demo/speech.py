"""Speech whose mouth shapes are known: espeak-ng, its phonemes and their times.

`espeak-ng --pho` writes MBROLA durations only for MBROLA voices; the library behind it reports the same phonemes
as events with the position in the sound, for every voice. That is what is used here, through ctypes.
"""

import ctypes
import ctypes.util
import wave
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import resample_poly

SAMPLE_RATE = 16000
RETRIEVAL, PHONEME_EVENTS, IPA_NAMES, UTF8 = 2, 1, 2, 1
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4
WORD, PHONEME, TERMINATED = 1, 7, 0


class _Name(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass
class Voice:
    """How to speak. `name` is espeak-ng's, with a variant: `en-us+f2`."""

    name: str = "en-us"
    words_per_minute: int = 160
    pitch: int = 50
    spread: int = 50


@dataclass
class Utterance:
    """Sound (float32, 16 kHz, -1..1) with timed phonemes and words, in seconds."""

    samples: np.ndarray
    phonemes: list = field(default_factory=list)  # (start, end, IPA)
    words: list = field(default_factory=list)  # (start, end, word)

    @property
    def seconds(self):
        return len(self.samples) / SAMPLE_RATE


class Espeak:
    """One espeak-ng engine; `say` is its only use."""

    def __init__(self):
        path = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        self._lib = ctypes.CDLL(path)
        self._rate = self._lib.espeak_Initialize(RETRIEVAL, 0, None, PHONEME_EVENTS | IPA_NAMES)
        if self._rate <= 0:
            raise RuntimeError("espeak-ng did not start: install the Debian package espeak-ng")
        self._callback = _CALLBACK(self._collect)  # kept, or ctypes would free it
        self._lib.espeak_SetSynthCallback(self._callback)
        self._sound, self._events = [], []

    def _collect(self, samples, count, events):
        if samples and count > 0:
            self._sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != TERMINATED:
            event = events[i]
            if event.type == PHONEME:
                name = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0].decode("utf-8", "replace")
                self._events.append((event.audio_position / 1000, "phoneme", name))
            elif event.type == WORD:
                self._events.append((event.audio_position / 1000, "word", (event.text_position - 1, event.length)))
            i += 1
        return 0

    def say(self, text, voice):
        """Speaks `text`; raises ValueError for a voice espeak-ng does not have."""
        self._sound, self._events = [], []
        if self._lib.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice.name!r}")
        for parameter, value in ((RATE, voice.words_per_minute), (VOLUME, 90), (PITCH, voice.pitch), (RANGE, voice.spread)):
            self._lib.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self._lib.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, UTF8, None, None)
        self._lib.espeak_Synchronize()
        sound = np.concatenate(self._sound).astype(np.float32) / 32768
        samples = resample_poly(sound, SAMPLE_RATE, self._rate).astype(np.float32)
        end = len(sound) / self._rate
        marks = [(at, name) for at, kind, name in self._events if kind == "phoneme"]
        stops = [at for at, _ in marks[1:]] + [end]
        phonemes = [(at, max(stop, at), name) for (at, name), stop in zip(marks, stops)]
        # espeak-ng runs some small words together ("I am"): a word is all the text up to the next one's beginning
        begun = [(at, place) for at, kind, (place, _) in (e for e in self._events if e[1] == "word")]
        places = [place for _, place in begun[1:]] + [len(text)]
        spoken = [(at, text[place:stop].strip()) for (at, place), stop in zip(begun, places)]
        ends = [at for at, _ in spoken[1:]] + [end]
        return Utterance(samples, phonemes, [(at, stop, word) for (at, word), stop in zip(spoken, ends)])


def read_wav(path):
    """Any PCM16 WAV as mono float32 at 16 kHz."""
    with wave.open(str(path)) as f:
        rate, channels = f.getframerate(), f.getnchannels()
        data = np.frombuffer(f.readframes(f.getnframes()), "<i2").astype(np.float32) / 32768
    mono = data.reshape(-1, channels).mean(1)
    return (mono if rate == SAMPLE_RATE else resample_poly(mono, SAMPLE_RATE, rate)).astype(np.float32)


def write_wav(path, samples):
    """Mono PCM16 at 16 kHz."""
    with wave.open(str(path), "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(SAMPLE_RATE)
        f.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
