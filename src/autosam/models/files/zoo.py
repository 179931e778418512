"""Models and weights by name: what comes with autosam, what can be fetched, and where it lies.

Nothing is downloaded unless `fetch` is called, and a mistyped name is never replaced by another model.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Literal

from autosam.errors import ModelError

Variant = Literal["vit_b", "vit_l", "vit_h"]


@dataclass(frozen=True)
class BaseWeights:
    """Weights of the Segment Anything Model as published.

    Attributes
    ----------
    file : str
        Its name in `home()`.
    hash : str
        As pooch takes it: ``sha256:`` or ``xxh128:``, and the hexadecimal digits.
    size : int or None
        In bytes, if known.
    license : str
        Or the page that states it.
    preprocessing : {"sam", "unit"}
        What its image encoder wants; see ``model.sam.preprocessing``.
    """

    name: str
    variant: Variant
    what: str
    url: str
    file: str
    hash: str
    size: int | None = None
    license: str = "Apache-2.0"
    preprocessing: Literal["sam", "unit"] = "sam"


@dataclass(frozen=True)
class BundledModel:
    """A whole model inside the package; the training data dictate the license of its weights."""

    name: str
    license: str

    @property
    def path(self) -> Path:
        """Where the file is, or would be."""
        return Path(str(files("autosam.models") / "bundled" / f"{self.name}.safetensors"))


_SHA256_B = "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
_SHA256_L = "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"
_SHA256_H = "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"
_XXH = {
    "b_em": "f3bf2ed83d691456bae2c3f9a05fb438",
    "l_em": "810b084b6e51acdbf760a993d8619f2d",
    "b_lm": "fe9252a29f3f4ea53c15a06de471e186",
    "l_lm": "017f20677997d628426dec80a8018f9d",
    "b_he": "ffd1a2cd84570458b257bd95fdd8f974",
    "l_he": "b591833c89754271023e901281dee3f2",
    "h_he": "bd1856dafc156a43fb3aa705f1a6e92e",
    "b_mi": "40169f1e3c03a4b67bff58249c176d92",
}
_META = "https://dl.fbaipublicfiles.com/segment_anything"
_ZOO = "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io"
_CLOUD = "https://owncloud.gwdg.de/index.php/s"
_ORGANELLES, _LM = "mitochondria and nuclei in EM", "cells and nuclei in light microscopy"


def _meta(name: Variant, file: str, sha256: str, size: int | None = None) -> BaseWeights:
    return BaseWeights(name, name, "natural images", f"{_META}/{file}", file, f"sha256:{sha256}", size)


def _derived(variant: Variant, kind: str, what: str, url: str, xxh128: str) -> BaseWeights:
    name = f"{variant}_{kind}"
    page = url.removeprefix(f"{_ZOO}/").split("/")[0] if url.startswith(_ZOO) else url.removesuffix("/download")
    where = f"{page} on bioimage.io" if url.startswith(_ZOO) else page
    return BaseWeights(
        name, variant, what, url, f"{name}.pt", f"xxh128:{xxh128}", license=f"see its page ({where})"
    )


# Addresses and hashes of the derived ones as micro-sam 1.8.14 registers them.
_ALL = (
    _meta("vit_b", "sam_vit_b_01ec64.pth", _SHA256_B, 375_042_383),
    _meta("vit_l", "sam_vit_l_0b3195.pth", _SHA256_L),
    _meta("vit_h", "sam_vit_h_4b8939.pth", _SHA256_H, 2_564_550_879),
    _derived("vit_b", "em_organelles", _ORGANELLES, f"{_ZOO}/noisy-ox/1.2/files/vit_b.pt", _XXH["b_em"]),
    _derived("vit_l", "em_organelles", _ORGANELLES, f"{_ZOO}/humorous-crab/1.2/files/vit_l.pt", _XXH["l_em"]),
    _derived("vit_b", "lm", _LM, f"{_ZOO}/diplomatic-bug/1.2/files/vit_b.pt", _XXH["b_lm"]),
    _derived("vit_l", "lm", _LM, f"{_ZOO}/idealistic-rat/1.2/files/vit_l.pt", _XXH["l_lm"]),
    _derived("vit_b", "histopathology", "H&E stains", f"{_CLOUD}/sBB4H8CTmIoBZsQ/download", _XXH["b_he"]),
    _derived("vit_l", "histopathology", "H&E stains", f"{_CLOUD}/IZgnn1cpBq2PHod/download", _XXH["l_he"]),
    _derived("vit_h", "histopathology", "H&E stains", f"{_CLOUD}/L7AcvVz7DoWJ2RZ/download", _XXH["h_he"]),
    _derived("vit_b", "medical_imaging", "medical images", f"{_CLOUD}/f5Ol4FrjPQWfjUF/download", _XXH["b_mi"]),
)
BASES = {base.name: base for base in _ALL}
BUNDLED = {
    "mito": BundledModel("mito", "CC BY-NC-SA 3.0"),
    "nuclei": BundledModel("nuclei", "CC BY-NC-SA 4.0"),
}


def home() -> Path:
    """Give the absolute folder of fetched files, which need not exist: `$AUTOSAM_HOME`, or the user's cache."""
    chosen = os.environ.get("AUTOSAM_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import pooch  # with requests and all that; a model of one's own needs neither

    return Path(pooch.os_cache("autosam"))


def cached_path(name: str) -> Path:
    """Give the path of base weights in `home()`, whether or not they are there.

    Raises
    ------
    ModelError
        If the name is not in `BASES`.
    """
    return home() / _base(name).file


def resolve_model(name_or_path: str | Path) -> Path:
    """Find a model: a bundled one by its name in `BUNDLED`, otherwise the file at a path; its content is not read.

    Raises
    ------
    ModelError
        If there is neither; the message lists the names, and files with similar ones.
    """
    text = str(name_or_path)
    if text in BUNDLED:
        path = BUNDLED[text].path
        if not path.is_file():
            raise ModelError(f"the bundled model {text} is not at {path}: install autosam again")
        return path
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if text in BASES:
        raise ModelError(
            f"{text} is base weights to train on, not a model: use one of {', '.join(BUNDLED)} "
            "or the file of a trained model"
        )
    if text and path.is_dir():
        raise ModelError(f"{text} is a folder, wanted the name of a model or a .safetensors file in it")
    near = get_close_matches(text, BUNDLED)
    if path.parent.is_dir():
        beside = {item.name: str(item) for item in sorted(path.parent.glob("*.safetensors"))}
        near += [beside[name] for name in get_close_matches(path.name, beside)]
    raise ModelError(f"no model is named {text!r} and no such file exists; {_choice(BUNDLED, near)}")


def base_weights(name: str, *, offline: bool = False) -> Path:
    """Find base weights that were fetched before; never downloads.

    Parameters
    ----------
    name : str
        A name in `BASES`.
    offline : bool
        Advise to put the file there by hand instead of fetching it; also set by `$AUTOSAM_OFFLINE`.

    Raises
    ------
    ModelError
        If the name is unknown, the file is not there or its hash is another.
    """
    base = _base(name)
    path = cached_path(name)
    advice = _by_hand(base, path) if _is_offline(offline) else f"get it with `autosam models fetch {name}`"
    if not path.is_file():
        raise ModelError(f"the weights of {name} are not on this machine ({path}): {advice}")
    kind, _, wanted = base.hash.partition(":")
    import pooch

    found = pooch.file_hash(str(path), alg=kind)
    if found != wanted:
        raise ModelError(f"{path} has {kind} {found}, wanted {wanted}: delete it, then {advice}")
    return path


def fetch(name: str, *, offline: bool = False) -> Path:
    """Download base weights into `home()`, with a progress bar, and check their hash.

    Parameters
    ----------
    name : str
        A name in `BASES`. A whole file that is there already is not downloaded again.
    offline : bool
        Refuse to download; also set by `$AUTOSAM_OFFLINE` (to anything but 0).

    Raises
    ------
    ModelError
        If the name is unknown, the download is refused or fails, or the file has another hash.
    """
    base = _base(name)
    if _is_offline(offline):
        return base_weights(name, offline=True)
    path = cached_path(name)
    import pooch

    # pooch's own chunks of 1 KB are each flushed to disk.
    downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=2**20)
    try:
        pooch.retrieve(base.url, known_hash=base.hash, fname=base.file, path=home(), downloader=downloader)
    except (OSError, ValueError) as error:
        # requests' errors are OSErrors; a wrong hash is a ValueError.
        reason = " ".join(str(error).split())
        raise ModelError(f"cannot fetch {name} ({reason}): try again, or {_by_hand(base, path)}") from error
    return path


def _base(name: str) -> BaseWeights:
    if name in BUNDLED:
        raise ModelError(f"{name} comes with autosam: nothing to fetch; base weights are {', '.join(BASES)}")
    if name not in BASES:
        # A base may also be given as a file.
        missing = " and no such file exists" if Path(name).suffix or Path(name).name != name else ""
        near = get_close_matches(name, BASES, n=1)
        raise ModelError(f"no base weights are named {name!r}{missing}; {_choice(BASES, near)}")
    return BASES[name]


def _is_offline(asked: bool) -> bool:
    return asked or os.environ.get("AUTOSAM_OFFLINE", "0") not in ("", "0")


def _by_hand(base: BaseWeights, path: Path) -> str:
    return f"download {base.url} elsewhere and put it at {path}"


def _choice(known: Iterable[str], near: Iterable[str]) -> str:
    near = list(near)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"known: {', '.join(known)}{meant}"
