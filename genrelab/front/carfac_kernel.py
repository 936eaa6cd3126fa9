"""CARFAC's inner loop, a sample at a time, written for numba: channels lie in lanes of a vector register.

Channel c is row c % rows of lane c // rows: each lane is one stretch of the cascade. The stretches are run side by side
with no input, as is the gain from each stretch's input to every stage; eight serial steps then chain them.
Indices are sums of values that cannot be negative: otherwise numba looks for negative ones and nothing is vectorised.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

LANES = 8
GHOSTS = 2  # rows before and after the channels' own, where lanes see their neighbours
DECIMATION = 8  # samples from one update of the gain control to the next; each slower stage halves the rate

# A cell's values. Coefficients: damping, pole, zero; undamping at rest and the gain as its quadratic.
R1, A0, C0, H, ZR, GA, GB, GC = range(8)
# State: resonator, velocity, undamping and gain with their slopes, chained output and gain, input, coupling, hair cell
Z1, Z2, V, ZB, DZB, G, DG, Y, P, X, AC, CAP1, CAP2, LPF, SUM = range(8, 23)
MEMORY, ACCUMULATED = 23, 24  # of the gain control's first stage, its update after them; then the next stage's
N_STAGES, PER_STAGE = 4, 3
N_VALUES = MEMORY + PER_STAGE * (N_STAGES + 1)  # the stage after the slowest is silent
BIAS = np.float32(1e-15)  # added to the wave: keeps a ringing-out state from numbers too small to be fast


def run(wave, cells, n_channels, car, ihc, agc, stage_gain, closed, hop, out):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """Fill out (frames, n_channels), zeros, with the mean activity of the samples nearest to each frame's centre.

    wave (samples,), cells (rows + 2 * GHOSTS, N_VALUES, LANES) at rest; agc (stages, 7): rate, weight of the summed
    input, five taps over channels. All float32.
    """
    rows = cells.shape[0] - 2 * GHOSTS
    # Made here, not taken: only so is its layout known when it is compiled, and its rows known not to overlap.
    a = np.empty((cells.shape[0], N_VALUES, LANES), np.float32)
    for row in range(cells.shape[0]):
        for value in range(N_VALUES):
            for s in range(LANES):
                a[row, value, s] = cells[row, value, s]
    zero, one, part = np.float32(0), np.float32(1), np.float32(1 / DECIMATION)
    velocity, offset, ac_rate = car
    out1, in1, out2, in2, gain, smooth, rest, shift, knee = ihc
    last_lane = (n_channels - 1) // rows
    last_row = GHOSTS + n_channels - 1 - last_lane * rows
    period, frame, count, left = 0, 0, 0, hop - hop // 2
    for t in range(wave.shape[0]):
        # Resonators, with the outer hair cell's nonlinear undamping.
        for row in range(rows):
            for s in range(LANES):
                g = a[row + 2, G, s] + a[row + 2, DG, s]
                zb = a[row + 2, ZB, s] + a[row + 2, DZB, s]
                u = a[row + 2, V, s] * velocity + offset
                r = a[row + 2, R1, s] + zb / (one + u * u)
                z1, z2, a0, c0 = a[row + 2, Z1, s], a[row + 2, Z2, s], a[row + 2, A0, s], a[row + 2, C0, s]
                turned1, turned2 = r * (a0 * z1 - c0 * z2), r * (c0 * z1 + a0 * z2)
                a[row + 2, G, s], a[row + 2, ZB, s] = g, zb
                a[row + 2, Z1, s], a[row + 2, Z2, s], a[row + 2, V, s] = turned1, turned2, turned2 - z2
                a[row + 2, Y, s] = g * (a[row + 1, Y, s] + a[row + 2, H, s] * turned2)
                a[row + 2, P, s] = g * a[row + 1, P, s]
        x = wave[t] + BIAS
        for s in range(LANES):
            a[1, X, s] = x
            x = a[rows + 1, Y, s] + a[rows + 1, P, s] * x
        # The chained outputs, through the inner hair cell.
        for row in range(rows):
            for s in range(LANES):
                x = a[row + 1, X, s]
                a[row + 2, X, s] = x
                a[row + 2, Z1, s] += a[row + 1, Y, s] + a[row + 1, P, s] * x
                moved = a[row + 2, Y, s] + a[row + 2, P, s] * x - a[row + 2, AC, s]
                a[row + 2, AC, s] += ac_rate * moved
                z = max(zero, moved + shift)
                zz = z * z
                zzz = zz * z
                cap1, cap2 = a[row + 2, CAP1, s], a[row + 2, CAP2, s]
                cap1 = cap1 - zzz / (zzz + zz + knee) * cap1 * out1 + (one - cap1) * in1
                released = (one - cap1) * cap2
                cap2 = cap2 - released * out2 + (one - cap2) * in2
                low = a[row + 2, LPF, s]
                low = low + smooth * (released * gain - low)
                a[row + 2, CAP1, s], a[row + 2, CAP2, s], a[row + 2, LPF, s] = cap1, cap2, low
                a[row + 2, ACCUMULATED, s] += low - rest
                a[row + 2, SUM, s] += low - rest
        count += 1
        left -= 1
        if left == 0 or t == wave.shape[0] - 1:
            share = one / np.float32(count)
            for channel in range(n_channels):
                lane = channel // rows
                out[frame, channel] = a[channel - lane * rows + GHOSTS, SUM, lane] * share
            for row in range(rows):
                for s in range(LANES):
                    a[row + 2, SUM, s] = zero
            frame, count, left = frame + 1, 0, hop
            if frame == out.shape[0]:
                return
        if closed and t % DECIMATION == DECIMATION - 1:
            period += 1
            top = 0
            while top < N_STAGES - 1 and period % (2 << top) == 0:
                top += 1
            for stage in range(min(top + 1, N_STAGES - 1)):
                k = ACCUMULATED + PER_STAGE * stage
                for row in range(rows):
                    for s in range(LANES):
                        a[row + 2, k + PER_STAGE, s] += a[row + 2, k, s]
            for stage in range(top, -1, -1):
                k = max(MEMORY + PER_STAGE * stage, 0)
                rate, weight = agc[stage, 0], agc[stage, 1]
                w0, w1, w2, w3, w4 = agc[stage, 2], agc[stage, 3], agc[stage, 4], agc[stage, 5], agc[stage, 6]
                for row in range(rows):
                    for s in range(LANES):
                        m = a[row + 2, k, s]
                        heard = weight * a[row + 2, k + 1, s] + stage_gain * a[row + 2, k + PER_STAGE, s]
                        a[row + 2, k + 2, s] = m + rate * (heard - m)
                        a[row + 2, k + 1, s] = zero
                for near in range(1, GHOSTS + 1):  # the first and the last channel stand for those beyond
                    a[2 - near, k + 2, 0] = a[2, k + 2, 0]
                    a[last_row + near, k + 2, last_lane] = a[last_row, k + 2, last_lane]
                for near in range(GHOSTS):
                    for s in range(last_lane):
                        a[near, k + 2, s + 1] = a[rows + near, k + 2, s]
                        a[rows + 2 + near, k + 2, s] = a[2 + near, k + 2, s + 1]
                for row in range(rows):
                    for s in range(LANES):
                        before = w0 * a[row, k + 2, s] + w1 * a[row + 1, k + 2, s]
                        after = w3 * a[row + 3, k + 2, s] + w4 * a[row + 4, k + 2, s]
                        a[row + 2, k, s] = before + w2 * a[row + 2, k + 2, s] + after
            # Undamping and gain go straight to their new values over the next period.
            for row in range(rows):
                for s in range(LANES):
                    u = one - a[row + 2, MEMORY, s]
                    g = (a[row + 2, GA, s] * u + a[row + 2, GB, s]) * u + a[row + 2, GC, s]
                    a[row + 2, DZB, s] = (a[row + 2, ZR, s] * u - a[row + 2, ZB, s]) * part
                    a[row + 2, DG, s] = (g - a[row + 2, G, s]) * part


@functools.cache
def compiled() -> Callable[..., Any]:
    """`run` as machine code, which lets other threads go on; kept on disk where there is a place for it."""
    import numba

    # contract: a product and a sum are rounded once
    machine = functools.partial(numba.njit, nogil=True, error_model="numpy", fastmath={"contract"})
    try:
        return machine(cache=True)(run)
    except RuntimeError:  # no folder can be written
        return machine()(run)
