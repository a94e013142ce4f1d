"""Numbers in sentences."""

from __future__ import annotations

from pathlib import Path


def counted(number: int, noun: str) -> str:
    """The number with its noun, in the plural where it is not one.

    >>> counted(1, "track"), counted(2, "track"), counted(0, "error")
    ('1 track', '2 tracks', '0 errors')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def but_device(path: Path) -> str:
    """What follows "There is no file or folder at PATH" where something is there all the same.

    >>> but_device(Path("nowhere")), but_device(Path("/dev/null"))
    ('', ', but a pipe or a device')
    """
    return ", but a pipe or a device" if path.exists() else ""


def with_article(noun: str) -> str:
    """The noun after its article, by the letter that it begins with.

    >>> with_article("audio-spectrogram-transformer"), with_article("hubert")
    ('an audio-spectrogram-transformer', 'a hubert')
    """
    return f"an {noun}" if noun[:1].lower() in set("aeiou") else f"a {noun}"


def size_told(size: int) -> str:
    """A number of bytes.

    >>> size_told(346_400_000), size_told(12_300), size_told(74_175_300_000)
    ('346.4 MB', '12.3 kB', '74.2 GB')
    """
    power, unit = next((p, u) for p, u in ((1e9, "GB"), (1e6, "MB"), (0, "kB")) if size >= p)
    return f"{size / (power or 1e3):,.1f} {unit}"


def percent(share: float | None) -> str:
    """``0.825`` as ``82.5 %``; nothing as a dash."""
    return "–" if share is None else f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of shares: ``0.117`` as ``+11.7``."""
    return f"{100 * share:+.1f}"


def number(value: float) -> str:
    """A p value or temperature with two figures that mean something."""
    return f"{value:.2g}"


def amount(number: float | None) -> str:
    """A large number with three figures that mean something; nothing as a dash.

    >>> amount(86_190_000), amount(215_110), amount(980), amount(None)
    ('86.2 M', '215 k', '980', '–')
    """
    if number is None:
        return "–"
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{_three_figures(number / unit)} {name}"
    return f"{number:.0f}"


def size(number: float | None) -> str:
    """Bytes as a person writes them; nothing as a dash.

    >>> size(345_000_000), size(2_000), size(None)
    ('329 MiB', '1.95 KiB', '–')
    """
    if number is None:
        return "–"
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= unit:
            return f"{_three_figures(number / unit)} {name}"
    return f"{number:.0f} B"


def span(seconds: float | None) -> str:
    """A time as a person says it; nothing as a dash.

    >>> span(3.42), span(125), span(7380), span(None)
    ('3.4 s', '2 min 5 s', '2 h 3 min', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def milliseconds(value: float | None) -> str:
    """A short time with three figures that mean something; nothing as a dash.

    >>> milliseconds(0.1234), milliseconds(12.345), milliseconds(3120.0), milliseconds(None)
    ('0.123', '12.3', '3120', '–')
    """
    return "–" if value is None else _three_figures(value)


def _three_figures(value: float) -> str:
    """
    >>> _three_figures(1.234), _three_figures(99.96), _three_figures(1023.4)
    ('1.23', '100', '1023')
    """
    for digits, below in ((3, 0.9995), (2, 9.995), (1, 99.95)):
        if value < below:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"
