"""Philox4x32-10 in numpy: the bits of kernels/philox.h (Salmon et al., SC'11).

`python philox.py` checks the generator against the published known answers.
"""

import numpy as np

_MULTIPLIER = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEP = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox4x32(counter, key0: int, key1: int) -> np.ndarray:
    """Ten rounds on the counters [..., 4] (uint32 values); returns uint32 words [..., 4]."""
    c0, c1, c2, c3 = (np.asarray(counter)[..., i].astype(np.uint64) for i in range(4))
    for _ in range(10):
        product0, product1 = _MULTIPLIER[0] * c0, _MULTIPLIER[1] * c2
        c0, c1, c2, c3 = (
            (product1 >> _32) ^ c1 ^ np.uint64(key0),
            product1 & _LOW,
            (product0 >> _32) ^ c3 ^ np.uint64(key1),
            product0 & _LOW,
        )
        key0, key1 = (key0 + _KEY_STEP[0]) & 0xFFFFFFFF, (key1 + _KEY_STEP[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def random_words(seed: int, stream: int, step: int, count: int) -> np.ndarray:
    """random_word(seed, stream, step, i) for i in 0 .. count - 1, uint32 [count]."""
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    counter = np.empty((len(blocks), 4), dtype=np.uint64)
    counter[:, 0], counter[:, 1] = blocks & _LOW, blocks >> _32
    counter[:, 2], counter[:, 3] = step, stream
    return philox4x32(counter, seed & 0xFFFFFFFF, seed >> 32).reshape(-1)[:count]


def uniform(seed: int, stream: int, step: int, count: int) -> np.ndarray:
    """uniform_of of those words: float32 in [0, 1), multiples of 2^-24."""
    return (random_words(seed, stream, step, count) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def symmetric(seed: int, stream: int, step: int, count: int) -> np.ndarray:
    """2u - 1: float32 in [-1, 1), multiples of 2^-23, exact."""
    return 2 * uniform(seed, stream, step, count) - 1


if __name__ == "__main__":
    KNOWN_ANSWERS = [  # counter, key, words: from the Random123 distribution
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, words in KNOWN_ANSWERS:
        got = philox4x32(np.array(counter, dtype=np.uint64), *key)
        assert got.tolist() == list(words), (counter, key, got)
    print(f"{len(KNOWN_ANSWERS)} known answers agree")
