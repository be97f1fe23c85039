"""Writes tests/goldens/logmel.safetensors: librosa's mel filters, log-mel and deltas, for tests/kernels and tests/data.

Run from the root of the repository:  python tools/reference/make_logmel_goldens.py [AUDIO_FOLDER]
AUDIO_FOLDER holds the ESC-10 clips named below; the default is ../shared/data/esc10/audio.
"""

import sys
from pathlib import Path

import librosa
import numpy as np
from safetensors.numpy import save_file

PAPER = dict(sample_rate=44100, n_fft=2048, window=1764, hop=882, bands=64, low_hz=50.0, top_db=80.0)

# One golden per row: name, signal, samples, frames kept, spec. The sizes are awkward on purpose: a last chunk with one
# frame, lengths that are no multiple of the hop, fewer frames kept than there are, a window as long as the FFT.
CASES = [
    ("chirp", "chirp", 66150, 70, PAPER),
    ("tone", "tone", 50021, 57, PAPER),
    ("gap", "gap", 42337, 49, PAPER),
    ("short", "chirp", 900, 2, PAPER),
    ("small_fft", "chirp", 20000, 60, dict(sample_rate=32000, n_fft=1024, window=1024, hop=320, bands=40, low_hz=0.0,
                                           top_db=60.0)),
    ("large_fft", "chirp", 44100, 24, dict(sample_rate=48000, n_fft=4096, window=3001, hop=1747, bands=128,
                                           low_hz=20.0, top_db=80.0)),
]

# A dog, rain, a rooster and two clocks; every 25th frame is kept.
CLIPS = ["1-100032-A", "1-17367-A", "2-100786-A", "3-142593-A", "4-181865-A"]
CLIP_STRIDE = 25
# Two builds of libvorbis differ by float rounding, about 1e-7, which shows in bands below -46 dB. With a noise of this width
# (-65 dB of full scale) added to the clip no value depends on the build. The clip without noise is a golden as well.
DITHER = 2.0**-9


def noise(samples):
    """Uniform in [-0.5, 0.5): the upper 24 bits of x = 1664525 x + 1013904223 mod 2^32, as in tests/support/noise.h."""
    state, out = 1, np.empty(samples)
    for i in range(samples):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        out[i] = (state >> 8) / 2**24 - 0.5
    return out


def signal(kind, samples):
    """The same as in tests/kernels/log_mel_test.cpp, in double, rounded to 16 bits so that both are exactly equal."""
    t = np.arange(samples) / 44100.0
    if kind == "chirp":  # 100 Hz rising by 8 kHz per second, and noise
        x = 0.4 * np.sin(2 * np.pi * (100 * t + 4000 * t * t)) + 0.05 * noise(samples)
    elif kind == "tone":  # only a loud low tone: most bands are at the floor of 80 dB below the peak
        x = 0.9 * np.sin(2 * np.pi * 110 * t)
    else:  # "gap": noise, then digital silence, then quieter noise
        third = samples // 3
        x = noise(samples)
        x[third : 2 * third] = 0
        x[2 * third :] *= 0.001
    return (np.rint(32768 * x) / 32768).astype(np.float32)


def log_mel(wave, sample_rate, n_fft, window, hop, bands, low_hz, top_db):
    mel = librosa.feature.melspectrogram(
        y=wave, sr=sample_rate, n_fft=n_fft, hop_length=hop, win_length=window, window="hann", center=True,
        pad_mode="constant", power=1.0, n_mels=bands, fmin=low_hz, fmax=None, htk=False, norm="slaney")
    return librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=top_db).T


def main():
    audio = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/esc10/audio")
    tensors = {}
    filters = librosa.filters.mel(sr=44100, n_fft=2048, n_mels=64, fmin=50.0, dtype=np.float64)
    tensors["filters.first_bin"] = (filters > 0).argmax(axis=1).astype(np.int32)
    tensors["filters.count"] = (filters > 0).sum(axis=1).astype(np.int32)
    tensors["filters.weights"] = filters[filters > 0]
    for name, kind, samples, frames, spec in CASES:
        tensors[f"signal.{name}"] = log_mel(signal(kind, samples), **spec)[:frames].astype(np.float32)
    features = tensors["signal.gap"]
    for order in (1, 2):
        delta = librosa.feature.delta(features.astype(np.float64), width=9, order=order, axis=0, mode="interp")
        tensors[f"delta.{order}"] = delta.astype(np.float32)
    for name in CLIPS:
        wave, _ = librosa.load(audio / f"{name}.ogg", sr=44100, mono=True)
        dithered = wave + (DITHER * noise(len(wave))).astype(np.float32)
        tensors[f"clip.{name}"] = log_mel(wave, **PAPER)[::CLIP_STRIDE]
        tensors[f"dithered.{name}"] = log_mel(dithered, **PAPER)[::CLIP_STRIDE]
    # Wide types first keeps every tensor aligned.
    ordered = dict(sorted(tensors.items(), key=lambda item: -item[1].itemsize))
    save_file({name: np.ascontiguousarray(value) for name, value in ordered.items()},
              "tests/goldens/logmel.safetensors", metadata={"librosa": librosa.__version__, "numpy": np.__version__})


if __name__ == "__main__":
    main()
