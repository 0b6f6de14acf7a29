"""One simulated machine with an accelerometer of one to three channels.

Machine.draw --> record(fault, severity): background + fault through the structure, at the SNR asked
                 --> gain, offset, clipping, quantisation --> float32 (n_channels, n_samples)
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import fft

from datasets.vibration.background import Lines, Noise
from datasets.vibration.drive import RATES, Motor, drive, log_uniform
from datasets.vibration.excitation import slow, unit
from datasets.vibration.faults import FAULTS
from datasets.vibration.geometry import Bearing
from datasets.vibration.path import Path, impulse_spectrum
from datasets.vibration.rotation import Run

LEVELS = (-3.0, 15.0)  # dB, fault of severity 1 by noise


@dataclass(frozen=True)
class Machine:
    """A rotating machine, its sensor and its surroundings; `draw` makes random ones.

    Attributes
    ----------
    sampling_rate : float
        Hz.
    rpm : float
        Rated speed, 1/min.
    n_channels : int
        Channels of the accelerometer.
    bearing : Bearing
        Geometry; `bearing.orders()` are what a catalogue gives.
    teeth, vanes : int
        Of the gear and of the impeller on the shaft; 0 for none.
    motor : Motor or None
        Drive whose line frequency shows.
    path : Path
        From forces to acceleration.
    fault_level : float
        Power of a fault of severity 1 by that of the noise at rated speed and load, dB.
    wander : float
        Slow change of speed inside a record, a share.
    gain : ndarray of shape (n_channels,)
        RMS of the healthy noise, in units of the output.
    offset : ndarray of shape (n_channels,)
        Constant, in units of the output.
    full_scale : float
        Where the recorder clips, multiples of the healthy noise.
    bits : int
        Resolution of the recorder over twice its full scale.
    lines : Lines
        Tones of the healthy machine.
    noise : Noise
        The rest of the healthy machine.
    """

    sampling_rate: float
    rpm: float
    n_channels: int
    bearing: Bearing
    teeth: int
    vanes: int
    motor: Motor | None
    path: Path
    fault_level: float
    wander: float
    gain: np.ndarray
    offset: np.ndarray
    full_scale: float
    bits: int
    lines: Lines | None = None
    noise: Noise | None = None
    _spectra: dict = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def draw(cls, rng, fault=None, low_rate=False, per_turn=np.inf, **fixed):
        """Return a random machine.

        Parameters
        ----------
        rng : Generator
        fault : str or None
            A fault that the machine must be able to have: it gets the gear, impeller or motor that this needs.
        low_rate : bool
            Sampled at 50 to 1000 Hz instead of 5 to 100 kHz.
        per_turn : float
            Largest number of samples a turn of the shaft, where the speed can be chosen: slow machines need long
            windows.
        **fixed
            Attributes that are given instead of drawn.
        """
        unknown = set(fixed) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(
                f"Machine.draw got {sorted(unknown)}; its attributes are {list(cls.__dataclass_fields__)}."
            )
        need = FAULTS[fault].part if fault else None
        drawn = drive(rng, need, low_rate, per_turn, fixed)
        rate, n_channels = drawn["sampling_rate"], fixed.get("n_channels", int(rng.integers(1, 4)))
        gain = log_uniform(rng, 0.01, 3.0) * np.exp(rng.uniform(-1.0, 1.0, n_channels))
        drawn |= {
            "n_channels": n_channels,
            "bearing": Bearing.draw(rng),
            "path": Path.draw(rng, rate, n_channels),
            "fault_level": float(rng.uniform(*LEVELS)),
            "wander": log_uniform(rng, 1e-4, 0.01),
            "gain": gain,
            "offset": gain * rng.normal(0.0, 2.0, n_channels) * (rng.random() < 0.5),
            "full_scale": log_uniform(rng, 8.0, 200.0),
            "bits": int(rng.choice([8, 10, 12, 16, 24])),
        }
        # A step of the recorder is at most half the healthy noise: coarser ones show nothing of it.
        drawn["bits"] = max(drawn["bits"], int(np.ceil(np.log2(4.0 * fixed.get("full_scale", drawn["full_scale"])))))
        machine = cls(**{**drawn, **fixed})
        lines = fixed.get("lines") or Lines.draw(rng, machine)
        return replace(machine, lines=lines, noise=fixed.get("noise") or Noise.draw(rng, machine))

    def record(
        self, rng, fault="healthy", severity=1.0, *, seconds=None, n_samples=None, load=None, rpm=None, snr=None,
        channel=0, **details,
    ):  # fmt: skip
        """Return one record, float32 ndarray of shape (n_channels, n_samples).

        Parameters
        ----------
        rng : Generator
        fault : str
            Key of `FAULTS`.
        severity : float
            0 to 1; the fault's amplitude is proportional to it.
        seconds, n_samples : float, int
            Length, one of the two.
        load : float or None
            Share of the rated load; drawn between 0.2 and 1 where None.
        rpm : float or None
            Speed; where None, that of the motor at this load, or rated speed +-3 %.
        snr : float or None
            Power of the fault by that of the broadband noise in `channel`, dB. Where None, it follows from
            `fault_level`, severity, load and speed.
        channel : int
            The channel next to the fault.
        **details
            What the kind of fault takes, such as the fields of `bearing_faults.Damage`.
        """
        kind = _checked(self, fault, channel)
        n_samples = _length(self.sampling_rate, seconds, n_samples)
        load = float(rng.uniform(0.2, 1.0)) if load is None else load
        rpm = self.running_speed(rng, load) if rpm is None else rpm
        run = self._run(rng, rpm, load, n_samples)
        ratio = rpm / self.rpm
        noise_level = ratio * (0.8 + 0.2 * load) * np.exp(0.1 * rng.standard_normal())
        signal = noise_level * self._noise(rng, run) + self.lines.signal(rng, run, ratio)
        if kind.excite is not None and severity > 0:
            excitation = kind.excite(rng, self, run, severity, **details)
            shares = rng.uniform(*excitation.spread, self.n_channels)
            shares[channel] = 1.0
            if snr is None:  # a fault grows with load and speed, up to the square of the speed
                snr = self.fault_level + kind.level + 20.0 * np.log10(severity * ratio * (0.6 + 0.4 * load))
            amplitude = noise_level * 10.0 ** (snr / 20.0)
            signal += amplitude * shares[:, None] * self._response(excitation, run)
        return self._recorded(signal)

    def running_speed(self, rng, load):
        """Return a speed at which the machine may run at this load, 1/min."""
        if self.motor is not None:
            return self.motor.rpm(load)
        return self.rpm * rng.uniform(0.97, 1.03)

    def _run(self, rng, rpm, load, n_samples):
        n_total = fft.next_fast_len(n_samples + min(self.path.ringing(self.sampling_rate), n_samples), real=True)
        slip = float(np.clip(self.bearing.slip * rng.uniform(0.6, 1.4) * (1.3 - 0.6 * load), 0.0, 0.02))
        common = {"sampling_rate": self.sampling_rate, "n_total": n_total, "n_samples": n_samples}
        return Run.draw(rng, rpm=rpm, load=load, wander=self.wander, slip=slip, **common)

    def _transfer(self, n_total):
        """Return response to force, pulse and noise shape on the frequencies of n_total samples."""
        if n_total not in self._spectra:
            frequency = fft.rfftfreq(n_total, 1.0 / self.sampling_rate)
            mounted = self.path.mounted(frequency)
            structure = self.path.structure(frequency) * mounted
            shape = self.noise.shape(frequency, structure) * np.abs(mounted) / np.sqrt(np.mean(np.abs(mounted) ** 2))
            shape /= np.sqrt(np.mean(shape**2, axis=1, keepdims=True))
            self._spectra[n_total] = structure, self.path.pulse(frequency), shape
        return self._spectra[n_total]

    def _noise(self, rng, run):
        """Return broadband noise of unit power and stray impacts, ndarray of shape (n_channels, n_samples)."""
        n_total = len(run.time)
        structure, pulse, shape = self._transfer(n_total)
        # 2 Re and Im of a half spectrum: rfft of white noise of unit power has |.|^2 = n.
        white = rng.standard_normal((2, *shape.shape), dtype=np.float32) * np.float32(np.sqrt(n_total / 2.0))
        # No two runs have quite the same spectrum: it differs by about 1 dB, smoothly.
        tilt = np.exp(0.12 * slow(rng, shape.shape[1]))
        noise = fft.irfft((white[0] + 1j * white[1]) * (shape * tilt), n_total)[:, -run.n_samples :]
        noise = self.noise.modulate(noise, run)
        stray = self.noise.stray(rng, run, self.sampling_rate)
        if stray is not None:
            heard = impulse_spectrum(*stray, n_total) * pulse * structure
            noise = noise + self.noise.impact_level * unit(fft.irfft(heard, n_total)[:, -run.n_samples :])
        return noise

    def _response(self, excitation, run):
        """Return what every channel sees of a fault, unit power in each, ndarray of shape (n_channels, n_samples)."""
        n_total = len(run.time)
        structure, pulse, _ = self._transfer(n_total)
        heard, resonant = 0.0, None
        if excitation.instants is not None:
            heard = unit_spectrum(impulse_spectrum(excitation.instants, excitation.areas, n_total) * pulse)
        if excitation.force is not None:
            heard = heard + unit_spectrum(fft.rfft(excitation.force))
        if excitation.instants is not None or excitation.force is not None:
            whole = unit(fft.irfft(heard * structure, n_total))
            kept = whole[:, -run.n_samples :]
            # A window between two impacts stays quiet: what rings on from before it is not raised to full power.
            resonant = kept / np.maximum(np.sqrt(np.mean(kept**2, axis=1, keepdims=True)), 0.3)
        if excitation.motion is None:
            return resonant
        motion = unit(np.atleast_2d(excitation.motion))
        if resonant is None:
            return np.broadcast_to(motion, (self.n_channels, run.n_samples))
        share = excitation.resonant_share
        return unit(np.sqrt(share) * resonant + np.sqrt(1.0 - share) * motion)

    def _recorded(self, signal):
        """Return what the recorder stores: clipped, rounded to its resolution, with gain and offset, float32."""
        step = 2.0 * self.full_scale / 2.0**self.bits
        stored = np.clip(np.round(signal / step) * step, -self.full_scale, self.full_scale)
        return (stored * self.gain[:, None] + self.offset[:, None]).astype(np.float32)


def unit_spectrum(spectrum):
    """Return a spectrum scaled so that its mean square is 1."""
    size = np.sqrt(np.mean(np.abs(spectrum) ** 2))
    return spectrum / size if size > 0 else spectrum


def _checked(machine, fault, channel):
    if fault not in FAULTS:
        raise ValueError(f"record got fault={fault!r}; known are {list(FAULTS)}.")
    kind = FAULTS[fault]
    if kind.part and not getattr(machine, kind.part):
        raise ValueError(
            f"fault {fault!r} needs {kind.part}, which this machine has not; use Machine.draw(rng, {fault!r})."
        )
    if machine.sampling_rate < RATES[0] and not kind.low_rate:
        raise ValueError(
            f"fault {fault!r} does not show at {machine.sampling_rate:g} Hz; at least {RATES[0]:g} Hz are needed."
        )
    if not 0 <= channel < machine.n_channels:
        raise ValueError(f"record got channel={channel}; the machine has {machine.n_channels}.")
    return kind


def _length(sampling_rate, seconds, n_samples):
    if (seconds is None) == (n_samples is None):
        raise ValueError("record needs either seconds or n_samples.")
    return int(n_samples if seconds is None else round(seconds * sampling_rate))
